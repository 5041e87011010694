"""Leader of a worker's process group: ends the whole group when the worker or the parent is gone.

    python -m rrr_workers.runtime.guardian [--ranks N|gpus] MODULE            (fd 3: a lifeline, see below)
    python -m rrr_workers.runtime.guardian --slurm [--ranks N] [--logs FILE] MODULE        (a task of a Slurm step)
    python -m rrr_workers.runtime.guardian --program srun ...                 (fd 3: a lifeline, see below)

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

The lifeline is a pipe whose other end only the parent holds. Only the standard descriptors travel to another node:
there the end of stdin stands for it, which srun brings about when the parent or it itself is gone. So the parent keeps
stdin open for as long as it lives, and the guardian reads it in the worker's stead, which may be too busy to. A step of
many nodes has one task, and so one guardian, on each. Its first task has stdin and stdout; the others end with srun.

srun has a child that ends the step when srun was killed. So it is in no group that we kill: it dies with its guardian.
"""

import argparse
import contextlib
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
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any

LIFELINE_FD = 3
#: The variable that names rank 0's listening socket, at MASTER_PORT.
STORE_FD = "RRR_STORE_FD"
_GRACE_S = 5.0
_LAST_LINES = 15
_PR_SET_PDEATHSIG = 1
_NVIDIA_DRIVER = "/dev/nvidiactl"


def main() -> None:
    arguments = _parse(sys.argv[1:])
    for caught in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(caught, signal.SIG_IGN)  # the worker decides; the guardian goes last
    command = arguments.program or [sys.executable, "-m", arguments.module]
    if arguments.slurm:
        task, tasks = int(os.environ["SLURM_PROCID"]), int(os.environ["SLURM_NTASKS"])
        ranks = Ranks(command, arguments.ranks, task, tasks, arguments.logs)
        lifeline = _relay_stdin(ranks.start(subprocess.PIPE).stdin)  # None but in the first task
    else:
        ranks = Ranks(command, arguments.ranks, apart=bool(arguments.program))
        child = ranks.start(None)
        if arguments.program:
            signal.signal(signal.SIGUSR1, lambda *_: child.send_signal(signal.SIGUSR1))
        lifeline = LIFELINE_FD
        os.set_inheritable(lifeline, False)
        os.close(0)
    os.close(1)
    _kill_others_then_exit(_watch(ranks, lifeline))


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="guardian", description=__doc__)
    parser.add_argument("--ranks", type=lambda text: count_gpus() if text == "gpus" else int(text), default=1)
    parser.add_argument("--slurm", action="store_true")
    parser.add_argument("--logs", help="the stderr of each rank but 0 of a Slurm step, {rank} for its number")
    parser.add_argument("--program", nargs=argparse.REMAINDER)
    parser.add_argument("module", nargs="?")
    return parser.parse_args(arguments)


def count_gpus() -> int:
    """How many GPUs torch sees (it obeys CUDA_VISIBLE_DEVICES), or 1 where it sees none."""
    if not os.path.exists(_NVIDIA_DRIVER):
        return 1
    count = [sys.executable, "-c", "import torch; print(torch.cuda.device_count())"]
    return max(1, int(subprocess.run(count, stdin=subprocess.DEVNULL, capture_output=True, check=True).stdout))


class Ranks:
    """The worker's processes that one guardian starts: all of them, or those of one of a Slurm step's tasks."""

    def __init__(
        self,
        command: Sequence[str],
        count: int,
        task: int = 0,
        tasks: int = 1,
        logs: str | None = None,
        *,
        apart: bool = False,
    ):
        self.first, self.world = task * count, tasks * count
        self.processes: list[subprocess.Popen[bytes]] = []
        self._command, self._count, self._tasks, self._logs, self._apart = command, count, tasks, logs, apart

    @property
    def leader(self) -> subprocess.Popen[bytes] | None:
        """Rank 0, where it is one of these."""
        return self.processes[0] if self.first == 0 else None

    def log_of(self, rank: int) -> Path | None:
        """Where a rank writes its stderr. None: where the guardian does."""
        return Path(self._logs.replace("{rank}", str(rank))) if self._logs and rank > 0 else None

    def start(self, stdin: int | None) -> subprocess.Popen[bytes]:
        """Rank 0 has ``stdin`` and stdout. A single process is told nothing of ranks. Returns the first process."""
        prepare = partial(_prepare_worker, os.getpid(), ctypes.CDLL(None).prctl)

        def start(**options: Any) -> None:
            child = subprocess.Popen(self._command, preexec_fn=prepare, start_new_session=self._apart, **options)
            self.processes.append(child)

        if self.world == 1:
            start(stdin=stdin)
            return self.processes[0]
        with self._listen() as meeting:
            port = os.environ["MASTER_PORT"] if self._tasks > 1 else str(meeting.getsockname()[1])
            counts = {"WORLD_SIZE": str(self.world), "LOCAL_WORLD_SIZE": str(self._count), "MASTER_PORT": port}
            host = {} if self._tasks > 1 else {"MASTER_ADDR": "127.0.0.1"}
            for local in range(self._count):
                rank = self.first + local
                env = {**os.environ, **host, **counts, "RANK": str(rank), "LOCAL_RANK": str(local)}
                if rank == 0:
                    env[STORE_FD] = str(meeting.fileno())
                    start(env=env, stdin=stdin, pass_fds=(meeting.fileno(),))
                else:
                    start(env=env, stdin=subprocess.DEVNULL, stdout=2, stderr=self._open_log(rank))
        return self.processes[0]

    def _listen(self) -> socket.socket:
        """Rank 0's socket, at which the others meet it; on their nodes one that is not bound."""
        if self._tasks == 1:
            return socket.create_server(("127.0.0.1", 0), backlog=self.world)
        if self.first > 0:
            return socket.socket()
        port = int(os.environ["MASTER_PORT"])
        try:
            return socket.create_server(("", port), backlog=self.world)
        except OSError as error:
            sys.exit(f"the ranks can't meet at port {port} of {_node()}: {error.strerror}")

    def _open_log(self, rank: int) -> IO[bytes] | None:
        log = self.log_of(rank)
        try:
            return log.open("ab") if log else None
        except FileNotFoundError:
            sys.exit(f"{_node()} doesn't see {log}: the run directory belongs on a disk that all nodes share")


def _node() -> str:
    return os.environ.get("SLURMD_NODENAME", socket.gethostname())


def _relay_stdin(worker: IO[bytes] | None) -> int:
    """Hand stdin on to ``worker``, whether it reads or not. The descriptor that is returned turns readable at its end.

    None, for a task that has no stdin: it never does.
    """
    gone, at_end = os.pipe()
    if worker is None:
        return gone
    chunks: SimpleQueue[bytes] = SimpleQueue()

    def read() -> None:
        while chunk := os.read(0, 1 << 16):
            chunks.put(chunk)
        chunks.put(b"")
        os.close(at_end)

    def write() -> None:
        with contextlib.suppress(BrokenPipeError), worker:
            while chunk := chunks.get():
                worker.write(chunk)
                worker.flush()

    for name, work in (("stdin", read), ("worker's stdin", write)):
        threading.Thread(target=work, name=name, daemon=True).start()
    return gone


def _watch(ranks: Ranks, lifeline: int) -> int | None:
    """The status to exit with once the group must end: rank 0's, or that of the rank whose death ends it."""
    running = {os.pidfd_open(process.pid): process for process in ranks.processes}
    first, leader = next(iter(running)), ranks.leader
    while running:
        ready, _, _ = select.select([*running, lifeline], [], [])
        if lifeline in ready:
            select.select([first], [], [], _GRACE_S)
            return ranks.processes[0].poll()
        for ended in ready:
            process = running.pop(ended)
            status = process.wait()
            if status and ranks.world > 1:
                _tell(ranks, ranks.first + ranks.processes.index(process), status)
            if process is leader:
                return status
            if status:
                if status > 0 and leader:  # an error that rank 0 is about to report
                    select.select([first, lifeline], [], [], _GRACE_S)
                return status if leader is None or leader.poll() is None else leader.poll()
    return 0


def _tell(ranks: Ranks, rank: int, status: int) -> None:
    """Say how a rank ended, and its last words where they are in a log of its own."""
    how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
    where = f" on {_node()}" if len(ranks.processes) < ranks.world else ""
    log = ranks.log_of(rank)
    last = log.read_text(errors="replace").splitlines()[-_LAST_LINES:] if log else []
    print(*last, f"rank {rank}{where} {how}{f': {log}' if log else ''}", sep="\n", file=sys.stderr, flush=True)


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
