"""A worker under its guardian, and the frames that are exchanged with it: a small stand-in for rrr's command line."""

import json
import os
import select
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from rrr_workers.runtime.guardian import launch

from .outcomes import Failed, Late

_TAIL_LINES = 3
_GONE_S = 20.0


class Worker:
    """Ends by ``deadline`` (of the monotonic clock); leaving its context kills whatever is left of it."""

    def __init__(self, module: str, log: Path, deadline: float, env: Mapping[str, str], ranks: int = 1):
        self._log = log
        self._deadline = deadline
        with log.open("wb") as stderr:
            self._process, self._lifeline = launch(module, stderr, {**os.environ, **env}, ranks)
        self.group = self._process.pid
        self._unread = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        deadline = time.monotonic() + _GONE_S
        while (left := self._left()) and time.monotonic() < deadline:
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            self._process.poll()
            time.sleep(0.05)
        os.close(self._lifeline)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            with suppress(BrokenPipeError):
                pipe.close()

    def start(self, config: Mapping[str, Any], options: Mapping[str, Any] | None = None) -> None:
        protocol = self._wait_for("hello")["protocol"]
        self._send({"type": "start", "protocol": protocol, "config": config, "options": options or {}})
        self._wait_for("ready")

    def call(self, number: int, method: str, params: Mapping[str, Any]) -> None:
        self._send({"type": "call", "id": number, "method": method, "params": params})

    def stop(self) -> None:
        self._send({"type": "stop"})

    def frames(self) -> Iterator[dict[str, Any]]:
        """Raises :class:`Failed` for the last frame of a worker that can't go on, and where it is gone or late."""
        assert self._process.stdout
        descriptor = self._process.stdout.fileno()
        while True:
            while b"\n" in self._unread:
                line, self._unread = self._unread.split(b"\n", 1)
                frame = json.loads(line)
                if frame["type"] == "fatal":
                    raise Failed(frame["error"]["message"])
                yield frame
            left = self._deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                raise Late(f"it took too long; {self._tail()}")
            chunk = os.read(descriptor, 1 << 20)
            if not chunk:
                raise Failed(f"it ended with status {self._process.wait()}; {self._tail()}")
            self._unread += chunk

    def _wait_for(self, kind: str) -> dict[str, Any]:
        return next(frame for frame in self.frames() if frame["type"] == kind)

    def _send(self, frame: Mapping[str, Any]) -> None:
        assert self._process.stdin
        try:
            self._process.stdin.write(json.dumps(frame).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return  # it is gone, which frames() tells

    def _left(self) -> list[int]:
        return [process.pid for process in psutil.process_iter() if self._is_left(process)]

    def _is_left(self, process: psutil.Process) -> bool:
        try:
            return os.getpgid(process.pid) == self.group and process.status() != psutil.STATUS_ZOMBIE
        except (psutil.NoSuchProcess, ProcessLookupError):
            return False

    def _tail(self) -> str:
        lines = [line for line in self._log.read_text(errors="replace").splitlines() if line.strip()]
        return f"{self._log} ends with: {' | '.join(lines[-_TAIL_LINES:])}" if lines else f"{self._log} is empty"
