"""The worker's end of the pipe, through real processes."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import TypeAdapter

import rrr_workers
from harness import WorkerProcess, resolved_config
from rrr_workers.runtime.frames import PROTOCOL_VERSION, WorkerFrame, encode, parse_parent_frame

FRAMES = Path(__file__).parents[2] / "test" / "fixtures" / "frames.jsonl"

Start = Callable[..., WorkerProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a dummy worker and, unless told otherwise, bring it to ready."""
    workers: list[WorkerProcess] = []

    def begin(ready: bool = True, **options: object) -> WorkerProcess:
        log = tmp_path / f"{len(workers)}.log"
        worker = WorkerProcess("dummy_role", log)
        workers.append(worker)
        assert worker.read_until("hello")["role"] == "dummy"
        if ready:
            worker.start(resolved_config(), options)
            worker.read_until("ready")
        return worker

    yield begin
    for worker in workers:
        worker.__exit__()


def test_a_worker_runs_the_package_that_is_tested(start: Start) -> None:
    """Else a fault planted in a copy of it never reaches the tests below."""
    worker = start()
    worker.call(1, "package", {})
    assert worker.read_until("result")["value"] == rrr_workers.__file__


def test_every_reply_names_its_call(start: Start) -> None:
    worker = start()
    worker.call(1, "sleep", {"seconds": 0.3})
    worker.call(2, "echo", {"text": "\u2028 \U0001f600 \ud83d"})
    assert worker.read() == {"type": "result", "id": 2, "value": {"text": "\u2028 \U0001f600 \ud83d"}}
    worker.call(3, "event", {})
    assert [worker.read() for _ in range(3)] == [
        {"type": "event", "id": 3, "event": {"kind": "test"}},
        {"type": "progress", "id": 3, "phase": "test", "done": 1, "total": None},
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
    worker.call(3, "busy", {})
    assert worker.read() == {
        "type": "error",
        "id": 3,
        "error": {"type": "call", "message": "the endpoint is busy", "retryable": True},
    }
    worker.call(4, "echo", {})
    assert worker.read_until("result")["id"] == 4


@pytest.mark.parametrize("stop", [False, True])
def test_a_dead_engine_ends_the_worker(start: Start, stop: bool) -> None:
    worker = start(child=True)
    worker.call(1, "sleep", {"seconds": 60})
    worker.call(2, "worker", {"seconds": 0.2})
    if stop:
        worker.send({"type": "stop"})
    error = {"type": "worker", "message": "the engine is dead", "retryable": False, "cure": "see the log"}
    assert [worker.read(), worker.read()] == [{"type": "fatal", "error": error}, None]
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


def test_stop_while_loading_ends_at_once(start: Start) -> None:
    worker = start(ready=False)
    worker.start(resolved_config(), {"load_s": 60})
    time.sleep(0.5)
    worker.send({"type": "stop"})
    assert worker.read_until("bye", 3)
    assert worker.process.wait(5) == 0


def test_failure_to_start_is_a_frame(start: Start) -> None:
    worker = start(ready=False)
    worker.start(resolved_config(), {"fail": "user"})
    error = {"type": "user", "message": "no such thing", "cure": "name another", "retryable": False}
    assert [worker.read(), worker.read()] == [{"type": "fatal", "error": error}, None]
    assert worker.process.wait(5) == 1


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"type": "start", "protocol": 99, "config": {}, "options": {}}, "protocol 99"),
        ({"type": "start", "protocol": PROTOCOL_VERSION, "config": {"seed": 0}, "options": {}}, "data: Field required"),
        ({"type": "start", "protocol": PROTOCOL_VERSION, "config": {"sed": 1}, "options": {}}, "sed: Extra inputs"),
        ({"type": "call", "id": 1, "method": "echo", "params": {}}, "expected a start frame"),
    ],
)
def test_a_wrong_start_is_refused(start: Start, frame: dict[str, object], message: str) -> None:
    worker = start(ready=False)
    worker.send(frame)
    reply = worker.read()
    assert reply
    assert reply["type"] == "fatal"
    assert message in reply["error"]["message"]
    assert worker.process.wait(5) == 1


@pytest.mark.parametrize(
    "line", [b"garbage\n", b"[]\n", b'{"no": "type"}\n', b'{"type": "cancel", "id": 1}\n', b"\xff\xfe\n", b"{\n"]
)
def test_garbage_from_the_parent_ends_the_worker(start: Start, line: bytes) -> None:
    worker = start()
    worker.send_raw(line)
    frame = worker.read()
    assert frame
    assert (frame["type"], frame["error"]["type"]) == ("fatal", "bug")
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


def test_a_full_disk_is_no_bug(start: Start) -> None:
    worker = start()
    worker.call(1, "disk", {})
    frame = worker.read()
    assert frame
    assert (frame["type"], frame["id"]) == ("error", 1)
    error = frame["error"]
    assert (error["type"], error["cure"]) == ("call", "make room on that disk, then go on with --resume")
    assert error["retryable"] is False
    assert "/data/train.jsonl" in error["message"]
    broken = start(ready=False)
    broken.start(resolved_config(), {"fail": "disk"})
    frame = broken.read()
    assert frame
    assert (frame["type"], frame["error"]["type"], frame["error"]["cure"]) == ("fatal", "worker", error["cure"])


def test_thousands_of_calls_are_all_answered(start: Start) -> None:
    worker = start()
    calls = 4000
    params = {"query": {"id": "0123456789abcdef", "index": 0, "fields": {"nums": [1, 2, 3], "target": 6}}}
    for call_id in range(calls):
        worker.call(call_id, "echo", params)
    answered = {worker.read_until("result")["id"] for _ in range(calls)}
    assert answered == set(range(calls))


def test_the_shared_frames_are_those_of_this_side() -> None:
    worker_frame: TypeAdapter[WorkerFrame] = TypeAdapter(WorkerFrame)
    kinds = set()
    for line in FRAMES.read_text(encoding="utf-8").split("\n")[:-1]:
        entry = json.loads(line)
        frame = entry["frame"]
        kinds.add(frame["type"])
        if entry["from"] == "parent":
            assert parse_parent_frame(json.dumps(frame).encode()) == frame
        else:
            typed = worker_frame.validate_python(frame, strict=True)
            assert typed == frame  # no key that this side doesn't know
            assert json.loads(encode(typed)) == frame
    workers = {"hello", "ready", "result", "error", "fatal", "progress", "event", "bye"}
    assert kinds == workers | {"start", "call", "stop"}
