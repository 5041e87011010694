#!/usr/bin/env bash
# A Slurm cluster of several virtual nodes on this machine, from Debian's packages: every node is a slurmd of its own.
#
#   eval "$(scripts/cluster.sh start)"   # installs what is missing where root; prints: export SLURM_CONF=...
#   scripts/cluster.sh status
#   scripts/cluster.sh stop              # ends every job and daemon, removes the folder
#   scripts/cluster.sh test [--short]    # what rrr promises in a Slurm job, on a cluster of its own: scripts/cluster/
#
# RRR_CLUSTER_DIR    the cluster's folder (default: rrr-cluster in TMPDIR or /tmp)
# RRR_CLUSTER_PORT   the controller's port (default 16817); the nodes take the next ones
# RRR_CLUSTER_NODES  how many nodes (default 3), each with 4 CPUs, 8 GB and two GPUs that are none (they look like /dev/null)
# Two clusters with folders and ports of their own can run beside each other.
set -euo pipefail
dir=${RRR_CLUSTER_DIR:-${TMPDIR:-/tmp}/rrr-cluster}
port=${RRR_CLUSTER_PORT:-16817}
nodes=${RRR_CLUSTER_NODES:-3}
host=$(hostname -s)
export SLURM_CONF=$dir/slurm.conf
export PATH=$PATH:/usr/sbin

say() { printf '%s\n' "$*" >&2; }

install() {
    command -v slurmctld slurmd srun munged >/dev/null && return
    if [ "$(id -u)" != 0 ]; then
        say "no Slurm here. It wants: sudo apt-get install --no-install-recommends slurmctld slurmd slurm-client munge"
        exit 2
    fi
    apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client munge >&2
}

configure() {
    mkdir -p "$dir"/{munge,state,log}
    chmod 700 "$dir/munge"
    head -c 1024 /dev/urandom >"$dir/munge/key"
    chmod 400 "$dir/munge/key"
    cat >"$SLURM_CONF" <<CONF
ClusterName=rrr
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket
CredType=cred/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool.%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.%n.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_min_interval=0,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
ReturnToService=2
SlurmdTimeout=10
SlurmctldTimeout=10
InactiveLimit=0
KillWait=5
MinJobAge=3600
OverTimeLimit=0
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$dir/log/jobcomp.log
JobRequeue=1
CONF
    : >"$dir/gres.conf"
    for ((n = 1; n <= nodes; n++)); do
        echo "NodeName=n$n NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + n)) CPUs=4 RealMemory=8000 Gres=gpu:2 State=UNKNOWN" >>"$SLURM_CONF"
        echo "NodeName=n$n Name=gpu File=$dir/gpu[$((2 * n - 2))-$((2 * n - 1))]" >>"$dir/gres.conf"
        for gpu in $((2 * n - 2)) $((2 * n - 1)); do mknod "$dir/gpu$gpu" c 1 3; done
    done
    echo "PartitionName=main Nodes=n[1-$nodes] Default=YES MaxTime=INFINITE State=UP" >>"$SLURM_CONF"
}

# The daemons go to the background by themselves; none may keep the caller's output open.
start() {
    install
    if [ -e "$SLURM_CONF" ]; then
        say "$dir holds a cluster already: scripts/cluster.sh stop, or another RRR_CLUSTER_DIR and RRR_CLUSTER_PORT"
        exit 2
    fi
    configure
    local log=$dir/log/start.log
    {
        munged --force --key-file="$dir/munge/key" --socket="$dir/munge/socket" --pid-file="$dir/munge/pid" \
            --seed-file="$dir/munge/seed" --log-file="$dir/log/munged.log"
        slurmctld -f "$SLURM_CONF" -c
        for ((n = 1; n <= nodes; n++)); do slurmd -N "n$n" -f "$SLURM_CONF"; done
    } </dev/null >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
    for ((i = 0; i < 100; i++)); do
        if [ "$(sinfo -h -N -t idle -o %n 2>/dev/null | wc -l)" = "$nodes" ]; then
            echo "export SLURM_CONF=$SLURM_CONF"
            return
        fi
        sleep 0.2
    done
    say "the cluster has no $nodes idle nodes after 20 s"
    cat "$log" >&2
    tail -n 5 "$dir"/log/*.log >&2
    exit 1
}

# The cluster's daemons and what runs on its nodes. Who merely uses it (a shell after the eval) is none of them.
members() {
    local environ pid
    for environ in /proc/[0-9]*/environ; do
        pid=${environ//[!0-9]/}
        [[ $'\n'$(tr '\0' '\n' <"$environ") == *$'\n'"SLURM_CONF=$SLURM_CONF"$'\n'* ]] || continue
        case $(cat "/proc/$pid/comm") in
            munged | slurmctld | slurmd | slurmstepd) echo "$pid" ;;
            *) ! tr '\0' '\n' <"$environ" | grep -q '^SLURMD_NODENAME=' || echo "$pid" ;;
        esac
    done 2>/dev/null
}

stop() {
    [ -e "$SLURM_CONF" ] || { say "no cluster in $dir"; return; }
    local ids
    timeout 5 scancel --user="$(id -un)" 2>/dev/null || true
    for ((i = 0; i < 50; i++)); do
        [ -n "$(timeout 2 squeue -h 2>/dev/null)" ] || break
        sleep 0.2
    done
    for ((i = 0; i < 50; i++)); do
        mapfile -t ids < <(members)
        [ "${#ids[@]}" != 0 ] || break
        kill -"$([ "$i" -lt 25 ] && echo TERM || echo KILL)" "${ids[@]}" 2>/dev/null || true
        sleep 0.2
    done
    rm -rf "$dir"
}

case ${1:-} in
    start) start ;;
    stop) stop ;;
    test)
        shift
        dir=$(mktemp -d "${TMPDIR:-/tmp}/rrr-cluster-XXXXXX")
        # One of many ports, so that two tests can run beside each other.
        RRR_CLUSTER_DIR=$dir RRR_CLUSTER_PORT=${RRR_CLUSTER_PORT:-$((13000 + $$ % 190 * 10))} exec "$0" test-on "$@"
        ;;
    test-on)
        shift
        trap stop EXIT
        start >/dev/null
        node "$(dirname "$0")/cluster/test.mjs" "$@"
        ;;
    status)
        [ -e "$SLURM_CONF" ] || { say "no cluster in $dir"; exit 1; }
        sinfo -N -o '%N %T %C %m %G'
        squeue -o '%i %T %N %j'
        ;;
    *) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2 ;;
esac
