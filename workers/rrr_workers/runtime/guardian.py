"""Leader of a worker's process group: ends the whole group when the worker or the parent is gone.

    python -m rrr_workers.runtime.guardian MODULE   (fd 3: a pipe whose other end only the parent holds)

vLLM's engine processes outlive a killed parent (they are adopted by init and keep the GPU), so someone in the group
must outlive the worker just long enough to end them. The worker inherits stdin and stdout untouched. Who ends whom:

* worker dies, however: the guardian kills the group and exits with the worker's status;
* parent dies: fd 3 closes; the worker has the grace to stop by itself (its stdin closed too), then the group is killed;
* guardian dies: the kernel kills the worker (PR_SET_PDEATHSIG), and the parent, which sees the exit, kills the group;
* guardian and parent die at once: the engine's processes, which nobody is left to kill, see that the worker is gone.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial

LIFELINE_FD = 3
_GRACE_S = 5.0
_PR_SET_PDEATHSIG = 1


def main() -> None:
    module, *arguments = sys.argv[1:]
    for caught in (signal.SIGINT, signal.SIGTERM):
        signal.signal(caught, signal.SIG_IGN)  # the worker decides; the guardian goes last
    prepare = partial(_prepare_worker, os.getpid(), ctypes.CDLL(None).prctl)
    worker = subprocess.Popen([sys.executable, "-m", module, *arguments], preexec_fn=prepare)
    os.close(0)
    os.close(1)
    worker_exit = os.pidfd_open(worker.pid)
    os.set_inheritable(LIFELINE_FD, False)
    ready, _, _ = select.select([worker_exit, LIFELINE_FD], [], [])
    if worker_exit not in ready:
        select.select([worker_exit], [], [], _GRACE_S)
    status = worker.poll()
    _kill_others_then_exit(status)


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
