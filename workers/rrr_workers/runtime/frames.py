"""The frames of a worker's pipe, JSON objects one a line. src/protocol/messages.ts is the other end.

    worker:  hello ->            ready ->        result | error | progress | event ...       bye | fatal
    parent:           start ->            call ...                                    stop ->

Both ends parse test/fixtures/frames.jsonl in their tests.
"""

import contextlib
import errno
import json
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from rrr_workers.errors import BugError, ErrorType, RrrError
from rrr_workers.text import clip

PROTOCOL_VERSION = 2
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_ACCESS = (errno.EACCES, errno.EPERM, errno.EROFS)


class Hello(TypedDict):
    type: Literal["hello"]
    protocol: int
    role: str
    pid: int
    versions: dict[str, str]


class Ready(TypedDict):
    type: Literal["ready"]
    info: dict[str, Any]


class Result(TypedDict):
    type: Literal["result"]
    id: int
    value: Any


class ErrorInfo(TypedDict):
    type: ErrorType
    message: str
    cure: NotRequired[str]
    retryable: bool


class Error(TypedDict):
    """The failure of one call; the worker lives on."""

    type: Literal["error"]
    id: int
    error: ErrorInfo


class Fatal(TypedDict):
    """The worker's last frame: it can't start, or can't go on."""

    type: Literal["fatal"]
    error: ErrorInfo


class Progress(TypedDict):
    """``id``: the call it belongs to, null while the role is built."""

    type: Literal["progress"]
    id: int | None
    phase: str
    done: int
    total: int | None


class Event(TypedDict):
    type: Literal["event"]
    id: int
    event: Any


class Bye(TypedDict):
    type: Literal["bye"]
    reason: str


class Start(TypedDict):
    type: Literal["start"]
    protocol: int
    config: dict[str, Any]
    options: dict[str, Any]


class CallFrame(TypedDict):
    type: Literal["call"]
    id: int
    method: str
    params: dict[str, Any]


class Stop(TypedDict):
    type: Literal["stop"]


WorkerFrame = Hello | Ready | Result | Error | Fatal | Progress | Event | Bye
ParentFrame = Start | CallFrame | Stop
_PARENT_FRAME: TypeAdapter[ParentFrame] = TypeAdapter(Annotated[ParentFrame, Field(discriminator="type")])


def parse_parent_frame(line: bytes) -> ParentFrame:
    """The frame that ``line`` holds. Raises :class:`BugError`."""
    try:
        return _PARENT_FRAME.validate_python(json.loads(line), strict=True)
    except (ValueError, RecursionError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        shown = clip(line.decode("utf-8", "backslashreplace"), 200)
        raise BugError(f"a line from the parent is no frame ({reason}): {shown}") from None


def encode(frame: WorkerFrame) -> bytes:
    """The line for ``frame``, in ASCII."""
    return json.dumps(frame, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def error_info(error: BaseException) -> ErrorInfo:
    """What to tell of the failure of a call. What nobody classified is a bug: its traceback goes to stderr."""
    if isinstance(error, RrrError):
        kind, message, cure = error.type, str(error), error.cure
    elif isinstance(error, OSError) and error.errno in _NO_ROOM:
        kind, message, cure = "call", str(error), "make room on that disk, then go on with --resume"
    elif isinstance(error, OSError) and error.errno in _NO_ACCESS and error.filename is not None:
        kind, message, cure = "user", str(error), "give this user access to it, or name another place"
    elif isinstance(error, ModuleNotFoundError) and not f"{error.name}".startswith("rrr_workers"):
        traceback.print_exception(error)
        kind, message = "user", f"this Python ({sys.executable}) has no package {error.name}"
        cure = (
            "rrr setup makes one that has (a light one lacks torch, TRL and vLLM: --stack cpu or cuda has them); "
            "python in the config, or RRR_PYTHON, names another"
        )
    else:
        traceback.print_exception(error)
        kind, message, cure = "bug", f"{type(error).__name__}: {error}", None
    info: ErrorInfo = {"type": kind, "message": message, "retryable": isinstance(error, RrrError) and error.retryable}
    if cure:
        info["cure"] = cure
    return info


def fatal_frame(error: BaseException) -> Fatal:
    """The last frame of a worker that ``error`` ends: what would end one call elsewhere ends the worker here."""
    info = error_info(error)
    kind: ErrorType = "worker" if info["type"] == "call" else info["type"]
    return {"type": "fatal", "error": {**info, "type": kind, "retryable": False}}


class FrameWriter:
    """Whole lines to the parent from any thread. Owns the original fd 1."""

    def __init__(self, fd: int):
        self._file = os.fdopen(fd, "wb", buffering=0)
        self._lock = threading.Lock()
        self._finished = False

    @classmethod
    def take_stdout(cls) -> "FrameWriter":
        """Move fd 1 to a private descriptor and point stdout at stderr."""
        private = os.dup(1)
        os.set_inheritable(private, False)
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        return cls(private)

    def send(self, frame: WorkerFrame) -> None:
        """Write ``frame``; dropped where the parent is gone, which the end of stdin tells the worker."""
        self._write(encode(frame), last=False)

    def finish(self, frame: WorkerFrame) -> None:
        """Write the last frame: whatever is sent after it is dropped."""
        self._write(encode(frame), last=True)

    def _write(self, line: bytes, *, last: bool) -> None:
        rest = memoryview(line)
        with self._lock, contextlib.suppress(BrokenPipeError):
            if self._finished:
                return
            self._finished = last
            while rest:
                rest = rest[self._file.write(rest) :]


def stdin_lines() -> Iterator[bytes]:
    """Whole lines of stdin; a torn last one is dropped. Not ``sys.stdin``: Python aborts at exit while a daemon thread
    holds its lock."""
    rest = b""
    while chunk := os.read(0, 1 << 16):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
