"""Frames without a process: whose fault an error is, what the parent may say, and that nothing follows the last one."""

import errno
import json
import os
import threading
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace
from typing import Any

import pytest

from rrr_workers.engines.base import PromptTooLong
from rrr_workers.errors import BugError, CallFailed, UserError, WorkerFailed
from rrr_workers.runtime.frames import FrameWriter, WorkerFrame, error_info, fatal_frame, parse_parent_frame
from rrr_workers.tasks.base import BadRow
from rrr_workers.tasks.loaded import TaskError


@pytest.mark.parametrize(
    ("error", "kind", "fatal_kind", "retryable"),
    [
        (UserError("m", cure="c"), "user", "user", False),
        (TaskError("m", cure="c"), "user", "user", False),
        (PromptTooLong("m"), "user", "user", False),
        (BugError("m", cure="c"), "bug", "bug", False),
        (WorkerFailed("m", cure="c"), "worker", "worker", False),
        (CallFailed("m", cure="c"), "call", "worker", False),
        (CallFailed("m", cure="c", retryable=True), "call", "worker", True),
        (OSError(errno.ENOSPC, "m"), "call", "worker", False),
        (OSError(errno.EDQUOT, "m"), "call", "worker", False),
        (OSError(errno.EFBIG, "m"), "call", "worker", False),
        (OSError(errno.EACCES, "m"), "bug", "bug", False),
        (OSError(errno.EACCES, "no", "m"), "user", "user", False),
        (ModuleNotFoundError("no", name="m"), "user", "user", False),
        (PackageNotFoundError("m"), "user", "user", False),
        (ModuleNotFoundError("no", name="rrr_workers.m"), "bug", "bug", False),
        (BadRow("m"), "bug", "bug", False),
        (ZeroDivisionError("m"), "bug", "bug", False),
    ],
)
def test_an_error_says_what_it_ends(error: Exception, kind: str, fatal_kind: str, retryable: bool) -> None:
    info, fatal = error_info(error), fatal_frame(error)
    assert (info["type"], info["retryable"]) == (kind, retryable)
    # A worker's last frame ends at least the worker, and nobody asks the same worker again.
    assert (fatal["type"], fatal["error"]["type"], fatal["error"]["retryable"]) == ("fatal", fatal_kind, False)
    assert "m" in info["message"] or "no" in info["message"]
    # All else is the same.
    assert {**fatal["error"], "type": 0, "retryable": 0} == {**info, "type": 0, "retryable": 0}


def test_an_error_s_cure_is_told() -> None:
    assert error_info(UserError("m", cure="c"))["cure"] == "c"
    assert error_info(OSError(errno.ENOSPC, "m"))["cure"].startswith("make room")
    assert "cure" not in error_info(UserError("m"))


def test_only_what_nobody_classified_shows_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    for error in (UserError("m"), CallFailed("m"), OSError(errno.ENOSPC, "m")):
        error_info(error)
    assert capsys.readouterr().err == ""
    assert error_info(KeyError("m"))["message"] == "KeyError: 'm'"
    assert "KeyError: 'm'" in capsys.readouterr().err


CALL = {"type": "call", "id": 1, "method": "m", "params": {}}


def test_a_frame_of_the_parent_is_what_it_says() -> None:
    start = {"type": "start", "protocol": 2, "config": {}, "options": {}}
    for frame in (CALL, start, {"type": "stop"}):
        assert parse_parent_frame(json.dumps(frame).encode() + b"\n") == frame


@pytest.mark.parametrize(
    "frame",
    [
        {**CALL, "id": "1"},
        {**CALL, "id": 1.0},
        {**CALL, "id": True},
        {**CALL, "id": None},
        {**CALL, "method": 1},
        {**CALL, "params": []},
        {**CALL, "params": None},
        {**CALL, "type": "Call"},
        {**CALL, "type": "result", "value": 1},
        {key: value for key, value in CALL.items() if key != "params"},
        {"type": "start", "protocol": "2", "config": {}, "options": {}},
        {"type": "start", "protocol": 2, "config": {}},
        {"type": "start", "protocol": 2, "config": "{}", "options": {}},
        {},
        [],
        "stop",
        None,
    ],
)
def test_nothing_else_is_a_frame_of_the_parent(frame: Any) -> None:
    with pytest.raises(BugError, match="a line from the parent is no frame"):
        parse_parent_frame(json.dumps(frame).encode())


@pytest.mark.parametrize("line", [b"", b"{", b"\xff", b"[" * 100_000, b'{"type":"stop"}{"type":"stop"}'])
def test_a_line_that_is_no_json_is_no_frame(line: bytes) -> None:
    with pytest.raises(BugError, match="a line from the parent is no frame") as caught:
        parse_parent_frame(line)
    assert len(str(caught.value)) < 500


@pytest.fixture
def pipe() -> tuple[FrameWriter, int]:
    """A writer, and where to read what it wrote."""
    reading, writing = os.pipe()
    return FrameWriter(writing), reading


def frames_in(reading: int) -> list[Any]:
    return [json.loads(line) for line in os.read(reading, 1 << 20).splitlines()]


def event(number: int) -> WorkerFrame:
    return {"type": "event", "id": number, "event": None}


def test_nothing_follows_the_last_frame(pipe: tuple[FrameWriter, int]) -> None:
    writer, reading = pipe
    writer.send(event(1))
    writer.finish({"type": "bye", "reason": "stopped"})
    writer.send(event(2))
    writer.finish(fatal_frame(UserError("too late")))
    assert frames_in(reading) == [event(1), {"type": "bye", "reason": "stopped"}]


def test_frames_of_many_threads_are_whole_lines(pipe: tuple[FrameWriter, int]) -> None:
    writer, reading = pipe
    text = "x" * 50_000  # far more than a pipe takes in one piece, with many writers at once

    def write(number: int) -> None:
        for _ in range(5):
            writer.send({"type": "event", "id": number, "event": text})

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    lines = 0
    with os.fdopen(reading, "rb") as stream:
        while lines < 40:
            assert json.loads(stream.readline())["event"] == text
            lines += 1
    for thread in threads:
        thread.join()


def test_what_a_write_leaves_over_is_written_next(
    pipe: tuple[FrameWriter, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, reading = pipe
    file = writer._file
    monkeypatch.setattr(writer, "_file", SimpleNamespace(write=lambda data: file.write(data[:7])))
    writer.send(event(1))
    writer.send(event(2))
    assert frames_in(reading) == [event(1), event(2)]


def test_a_parent_that_is_gone_is_no_error(pipe: tuple[FrameWriter, int]) -> None:
    writer, reading = pipe
    os.close(reading)
    writer.send(event(1))
    writer.finish({"type": "bye", "reason": "stopped"})


def test_what_is_no_json_is_never_sent(pipe: tuple[FrameWriter, int]) -> None:
    writer, reading = pipe
    with pytest.raises(ValueError, match="not JSON compliant"):
        writer.send({"type": "result", "id": 1, "value": float("nan")})
    writer.send({"type": "result", "id": 2, "value": "\u2028\n\ud83d"})
    raw = os.read(reading, 1000)
    assert raw.isascii()
    assert raw.count(b"\n") == 1
