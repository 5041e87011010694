"""Leader of a worker's process group: ends the whole group when the worker or the parent is gone.

    python -m rrr_workers.runtime.guardian [--ranks N|gpus] MODULE

(fd 3: a pipe whose other end only the parent holds)

vLLM's engine processes outlive a killed parent (they are adopted by init and keep the GPU), so someone in the group
must outlive the worker just long enough to end them. The worker inherits stdin and stdout untouched. Who ends whom:

* worker dies, however: the guardian kills the group and exits with the worker's status;
* parent dies: fd 3 closes; the worker has the grace to stop by itself (its stdin closed too), then the group is killed;
* guardian dies: the kernel kills the worker (PR_SET_PDEATHSIG), and the parent, which sees the exit, kills the group;
* guardian and parent die at once: the engine's processes, which nobody is left to kill, see that the worker is gone.

A worker may be several processes, its ranks (the trainer: one a GPU), which find each other as under torchrun, by RANK,
LOCAL_RANK, WORLD_SIZE, LOCAL_WORLD_SIZE, MASTER_ADDR and MASTER_PORT. Rank 0 alone has stdin and stdout. It ends the
group when it ends; another rank ends it by dying of a signal, or by an error that rank 0 doesn't report in the grace.
torchrun would put each rank into a session of its own, out of reach of a kill of the group, give all of them stdin and
stdout, and wait 30 s for a rank that is stopped.
"""

import argparse
import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import IO, Any

LIFELINE_FD = 3
#: The variable that names rank 0's listening socket, at MASTER_PORT.
STORE_FD = "RRR_STORE_FD"
_GRACE_S = 5.0
_PR_SET_PDEATHSIG = 1
_NVIDIA_DRIVER = "/dev/nvidiactl"


def main() -> None:
    arguments = _parse(sys.argv[1:])
    for caught in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(caught, signal.SIG_IGN)  # the worker decides; the guardian goes last
    ranks = _start(arguments.module, arguments.ranks)
    os.close(0)
    os.close(1)
    exits = [os.pidfd_open(rank.pid) for rank in ranks]
    os.set_inheritable(LIFELINE_FD, False)
    _kill_others_then_exit(_watch(ranks, exits))


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="guardian", description=__doc__)
    parser.add_argument("--ranks", type=lambda text: count_gpus() if text == "gpus" else int(text), default=1)
    parser.add_argument("module")
    return parser.parse_args(arguments)


def count_gpus() -> int:
    """How many GPUs torch sees (it obeys CUDA_VISIBLE_DEVICES), or 1 where it sees none."""
    if not os.path.exists(_NVIDIA_DRIVER):
        return 1
    count = [sys.executable, "-c", "import torch; print(torch.cuda.device_count())"]
    return max(1, int(subprocess.run(count, stdin=subprocess.DEVNULL, capture_output=True, check=True).stdout))


def _start(module: str, count: int) -> list[subprocess.Popen[bytes]]:
    """Rank 0 first. A single process is told nothing of ranks."""
    prepare = partial(_prepare_worker, os.getpid(), ctypes.CDLL(None).prctl)

    def start(**options: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-m", module], preexec_fn=prepare, **options)

    if count == 1:
        return [start()]
    with socket.create_server(("127.0.0.1", 0), backlog=count) as meeting:
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(meeting.getsockname()[1])}
        counts = {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
        environment = [
            {**os.environ, **address, **counts, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)
        ]
        environment[0][STORE_FD] = str(meeting.fileno())
        first = start(env=environment[0], pass_fds=(meeting.fileno(),))
        return [first, *(start(env=each, stdin=subprocess.DEVNULL, stdout=2) for each in environment[1:])]


def _watch(ranks: Sequence[subprocess.Popen[bytes]], exits: Sequence[int]) -> int | None:
    """The status to exit with once the group must end: rank 0's, or that of the rank whose death ends it."""
    running = dict(zip(exits, ranks, strict=True))
    while True:
        ready, _, _ = select.select([*running, LIFELINE_FD], [], [])
        if LIFELINE_FD in ready:
            select.select([exits[0]], [], [], _GRACE_S)
            return ranks[0].poll()
        for ended in ready:
            rank = running.pop(ended)
            status = rank.wait()
            if status and len(ranks) > 1:
                how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
                print(f"rank {ranks.index(rank)} {how}", file=sys.stderr, flush=True)
            if rank is ranks[0]:
                return status
            if status:
                if status > 0:  # an error that rank 0 is about to report
                    select.select([exits[0], LIFELINE_FD], [], [], _GRACE_S)
                return status if ranks[0].poll() is None else ranks[0].poll()


def launch(
    module: str, stderr: IO[bytes], env: Mapping[str, str], ranks: int = 1
) -> tuple["subprocess.Popen[bytes]", int]:
    """Start ``module`` under a guardian, as src/launch/local.ts does: the guardian, and the lifeline to close."""
    lifeline, ours = os.pipe()
    guardian = subprocess.Popen(
        [sys.executable, "-m", "rrr_workers.runtime.guardian", "--ranks", str(ranks), module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        start_new_session=True,
        preexec_fn=lambda: os.dup2(lifeline, LIFELINE_FD),
        pass_fds=(LIFELINE_FD,),
        env=env,
    )
    os.close(lifeline)
    return guardian, ours


def die_with_parent() -> None:
    """In a process that a worker started: kill it once its parent is gone.

    Not by PR_SET_PDEATHSIG, which means the end of the parent's thread.
    """
    parent = os.getppid()
    ended = select.poll()
    ended.register(os.pidfd_open(parent), select.POLLIN)
    if os.getpgid(parent) != os.getpgrp():  # it was gone already, and another one has adopted this process
        os._exit(1)

    def wait() -> None:
        ended.poll()
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, name="parent", daemon=True).start()


def _prepare_worker(guardian: int, prctl: Callable[[int, int], int]) -> None:
    """In the worker, before its program: take signals again, and die with the guardian."""
    for caught in (signal.SIGINT, signal.SIGTERM):
        signal.signal(caught, signal.SIG_DFL)
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != guardian:  # it died before the line above
        os._exit(1)


def _kill_others_then_exit(status: int | None) -> None:
    """SIGKILL every process of the group but this one, so that the worker's own exit status can still be told."""
    group = os.getpgrp()
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid() and _group_of(int(entry)) == group:
            try:
                os.kill(int(entry), signal.SIGKILL)
            except ProcessLookupError:
                continue
    if status is None:
        os._exit(137)
    os._exit(status if status >= 0 else 128 - status)


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


if __name__ == "__main__":
    main()
