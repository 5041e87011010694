"""A leash: whatever becomes of a benchmark, also by SIGKILL, nothing that it started outlives it.

    python leash.py COMMAND...      (standard input: a pipe whose other end only the benchmark holds)

The leash runs the command as its child. When the command has ended, or the pipe closes because the benchmark is gone,
the leash kills all that is left of the command's processes, the stopped ones too, and ends with the command's exit
status. It adopts the processes whose parents die, so those in process groups of their own don't escape it.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

_PR_SET_CHILD_SUBREAPER = 36
_POLL_S = 0.02
_KILLED = 128 + signal.SIGKILL


class Leashed:
    """A program on a leash. What it prints goes to the file ``output``. To leave the context kills it."""

    def __init__(self, command: Sequence[str], output: Path, env: Mapping[str, str]):
        self.output = output
        with output.open("wb") as out:
            self._leash = subprocess.Popen(
                [sys.executable, __file__, *command],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                env=env,
                start_new_session=True,  # a signal to the benchmark's process group must leave the leash alive
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Kill the program and all that it started, unless it has ended."""
        assert self._leash.stdin
        self._leash.stdin.close()
        self._leash.wait()

    def poll(self) -> int | None:
        """The exit status, None while it runs."""
        return self._leash.poll()

    def wait(self, seconds: float | None = None) -> int | None:
        """The exit status, None when it still runs after ``seconds``."""
        try:
            return self._leash.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def processes(self) -> list[psutil.Process]:
        """The program and all that it started, without the leash. Empty once it has ended."""
        try:
            return psutil.Process(self._leash.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def pid(self) -> int:
        """The program's own process id. Waits for its start."""
        while self.poll() is None:
            with suppress(psutil.NoSuchProcess):
                # Every other child was adopted, and is younger.
                if children := psutil.Process(self._leash.pid).children():
                    return min(children, key=lambda child: (child.create_time(), child.pid)).pid
            time.sleep(_POLL_S)
        raise self.failed()

    def failed(self) -> SystemExit:
        """The exception that tells what it printed."""
        printed = self.output.read_text(errors="replace")
        return SystemExit(f"{self.output.stem} ended with exit code {self.poll()}:\n{printed}")


def main() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    # Ctrl-C is the command's to handle. Not SIG_IGN: the command would inherit that.
    signal.signal(signal.SIGINT, lambda *_: None)
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda number, _: sys.exit(128 + number))
    try:
        command = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
        select.select([0, os.pidfd_open(command.pid)], [], [])
        status = command.poll()
    finally:
        _kill_all()
    sys.exit(_KILLED if status is None else status if status >= 0 else 128 - status)


def _kill_all() -> None:
    """Until no child is left: one may start another while it is killed, and orphans come to this process."""
    this = psutil.Process()
    while children := this.children(recursive=True):
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(_POLL_S)


if __name__ == "__main__":
    main()
