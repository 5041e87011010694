"""The worker's end of the pipe, through real processes."""

import errno
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import WorkerProcess, resolved_config

from rrr_workers.protocol import error_frame

HERE = Path(__file__).parent
FRAMES = HERE.parents[1] / "test" / "fixtures" / "frames.jsonl"

Start = Callable[..., WorkerProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a dummy worker and, unless told otherwise, bring it to ready."""
    workers: list[WorkerProcess] = []

    def begin(ready: bool = True, **options: object) -> WorkerProcess:
        log = tmp_path / f"{len(workers)}.log"
        worker = WorkerProcess("dummy_role", log, {"PYTHONPATH": str(HERE)})
        workers.append(worker)
        assert worker.read_until("hello")["role"] == "dummy"
        if ready:
            worker.start(resolved_config(), options)
            worker.read_until("ready")
        return worker

    yield begin
    for worker in workers:
        worker.__exit__()


def test_every_reply_names_its_call(start: Start) -> None:
    worker = start()
    worker.call(1, "sleep", {"seconds": 0.3})
    worker.call(2, "echo", {"text": "\u2028 \U0001f600 \ud83d"})
    assert worker.read() == {"type": "result", "id": 2, "value": {"text": "\u2028 \U0001f600 \ud83d"}}
    worker.call(3, "event", {})
    assert [worker.read() for _ in range(3)] == [
        {"type": "event", "id": 3, "event": {"kind": "test"}},
        {"type": "progress", "phase": "test", "done": 1, "total": None},
        {"type": "result", "id": 3, "value": None},
    ]
    assert worker.read() == {"type": "result", "id": 1, "value": "slept"}


def test_nothing_that_prints_can_forge_a_frame(start: Start) -> None:
    worker = start()
    worker.call(1, "print", {})
    assert worker.read() == {"type": "result", "id": 1, "value": "true"}
    assert worker.log.read_text().count("forged") == 5


def test_errors_say_whose_fault_it_is(start: Start) -> None:
    worker = start()
    worker.call(1, "user", {})
    error = {"type": "user", "message": "your fault", "retryable": False, "cure": "do better"}
    assert worker.read() == {"type": "error", "id": 1, "error": error}
    worker.call(2, "missing", {})
    assert worker.read() == {
        "type": "error",
        "id": 2,
        "error": {"type": "bug", "message": "KeyError: 'missing'", "retryable": False},
    }
    assert "Traceback" in worker.log.read_text()
    worker.call(3, "echo", {})
    assert worker.read_until("result")["id"] == 3


def test_a_dead_engine_ends_the_worker(start: Start) -> None:
    worker = start(child=True)
    worker.call(1, "sleep", {"seconds": 60})
    worker.call(2, "worker", {})
    frames = [worker.read(), worker.read(), worker.read()]
    assert [frame and (frame["type"], frame["id"]) for frame in frames] == [("error", 2), ("error", None), None]
    assert worker.process.wait(5) == 1
    worker.wait_until_gone(5)


def test_stop_finishes_what_runs(start: Start) -> None:
    worker = start(child=True)
    worker.call(1, "sleep", {"seconds": 0.5})
    worker.send({"type": "stop"})
    worker.close_stdin()
    assert worker.read() == {"type": "result", "id": 1, "value": "slept"}
    assert worker.read() == {"type": "bye", "reason": "stopped"}
    assert worker.process.wait(5) == 0
    worker.wait_until_gone(5)


def test_cancel_ends_a_call_without_a_reply(start: Start) -> None:
    worker = start()
    worker.call(1, "sleep", {"seconds": 60})
    worker.send({"type": "cancel", "id": 1})
    worker.send({"type": "cancel", "id": 99})
    worker.send({"type": "stop"})
    assert worker.read() == {"type": "bye", "reason": "stopped"}


def test_stop_while_loading_ends_at_once(start: Start) -> None:
    worker = start(ready=False)
    worker.start(resolved_config(), {"load_s": 60})
    time.sleep(0.5)
    worker.send({"type": "stop"})
    assert worker.read_until("bye", 3)
    assert worker.process.wait(5) == 0


def test_failure_to_start_is_a_frame(start: Start) -> None:
    worker = start(ready=False)
    worker.start(resolved_config(), {"fail": True})
    frame = worker.read()
    assert frame
    assert (frame["id"], frame["error"]["cure"]) == (None, "name another")
    assert worker.process.wait(5) == 1


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"type": "start", "protocol": 99, "config": {}, "options": {}}, "protocol 99"),
        ({"type": "start", "protocol": 1, "config": {"seed": 0}, "options": {}}, "data: Field required"),
        ({"type": "start", "protocol": 1, "config": {"sed": 1}, "options": {}}, "sed: Extra inputs"),
        ({"type": "call", "id": 1, "method": "echo", "params": {}}, "expected a start frame"),
    ],
)
def test_a_wrong_start_is_refused(start: Start, frame: dict[str, object], message: str) -> None:
    worker = start(ready=False)
    worker.send(frame)
    reply = worker.read()
    assert reply
    assert reply["type"] == "error"
    assert message in reply["error"]["message"]
    assert worker.process.wait(5) == 1


@pytest.mark.parametrize("line", [b"garbage\n", b"[]\n", b'{"no": "type"}\n', b"\xff\xfe\n", b"{\n"])
def test_garbage_from_the_parent_ends_the_worker(start: Start, line: bytes) -> None:
    worker = start()
    worker.send_raw(line)
    frame = worker.read()
    assert frame
    assert (frame["type"], frame["id"], frame["error"]["type"]) == ("error", None, "bug")
    assert worker.process.wait(5) == 1


def _worker_pid(worker: WorkerProcess, child: int) -> int:
    (pid,) = set(worker.group()) - {worker.process.pid, child}
    return pid


@pytest.mark.parametrize("busy", ["sleep", "block"])
def test_nothing_outlives_the_parent(start: Start, busy: str) -> None:
    worker = start(child=True)
    worker.call(1, busy, {"seconds": 60})
    time.sleep(0.2)
    worker.close_pipes()
    worker.wait_until_gone(10)


def test_nothing_outlives_the_worker(start: Start) -> None:
    worker = start(ready=False)
    worker.start(resolved_config(), {"child": True})
    child = worker.read_until("ready")["info"]["child"]
    os.kill(_worker_pid(worker, child), signal.SIGKILL)
    assert worker.process.wait(5) == 128 + signal.SIGKILL
    worker.wait_until_gone(5)


def test_the_worker_dies_with_its_guardian(start: Start) -> None:
    worker = start(ready=False)
    worker.start(resolved_config(), {"child": True})
    child = worker.read_until("ready")["info"]["child"]
    worker.process.kill()
    worker.process.wait(5)
    deadline = time.monotonic() + 5
    while worker.group() != [child]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    # What is left is the parent's to end: it sees the guardian's exit and kills the group.
    worker.kill_group()
    worker.wait_until_gone(5)


def test_terminating_the_group_ends_it(start: Start) -> None:
    worker = start(child=True)
    os.killpg(worker.process.pid, signal.SIGTERM)
    assert worker.process.wait(5) == 128 + signal.SIGTERM
    worker.wait_until_gone(5)


def test_a_full_disk_is_no_bug() -> None:
    error = error_frame(OSError(errno.ENOSPC, "No space left on device", "/data/train.jsonl"), 1)["error"]
    assert (error["type"], error["cure"]) == ("worker", "make room on that disk, then go on with --resume")
    assert "/data/train.jsonl" in error["message"]


def test_two_thousand_calls_a_second(start: Start) -> None:
    worker = start()
    calls = 4000
    begun = time.monotonic()
    params = {"query": {"id": "0123456789abcdef", "index": 0, "fields": {"nums": [1, 2, 3], "target": 6}}}
    for call_id in range(calls):
        worker.call(call_id, "echo", params)
    answered = {worker.read_until("result")["id"] for _ in range(calls)}
    assert answered == set(range(calls))
    assert calls / (time.monotonic() - begun) > 2000


def test_the_shared_frames_are_those_of_this_side() -> None:
    lines = [json.loads(line) for line in FRAMES.read_text().splitlines()]
    by_type = {entry["frame"]["type"]: entry["frame"] for entry in lines}
    for entry in lines:
        assert entry["from"] in ("worker", "parent")
    assert set(by_type["hello"]) == {"type", "protocol", "role", "pid", "versions"}
    assert set(by_type["start"]) == {"type", "protocol", "config", "options"}
    assert set(by_type["call"]) == {"type", "id", "method", "params"}
    assert set(by_type["result"]) == {"type", "id", "value"}
    assert {frame for frame in by_type} == {
        *("hello", "ready", "result", "error", "progress", "event", "bye"),
        *("start", "call", "cancel", "stop"),
    }
