"""Ranks under their guardian, without a model: who has the pipe, whose error is told, and that nobody is left."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness import PACKAGE, TESTS, WorkerProcess, resolved_config

READY_S = 90.0


def ask(tmp_path: Path, ranks: int, scenario: str) -> WorkerProcess:
    worker = WorkerProcess("ranked_role", tmp_path / "log", ranks=ranks, env={"SCENARIO": scenario})
    worker.start(resolved_config())
    worker.read_until("ready", READY_S)
    worker.call(1, "train", {"words": "for all"})
    return worker


def answer(worker: WorkerProcess) -> dict[str, Any]:
    while (frame := worker.read(READY_S)) and frame["type"] not in ("result", "error", "fatal"):
        continue
    assert frame is not None, worker.log.read_text()
    return frame


def test_ranks_work_together_and_rank_0_alone_speaks(tmp_path: Path) -> None:
    with ask(tmp_path, 3, "sum") as worker:
        assert answer(worker)["value"] == {"sum": [6.0, 3.0], "least": [1.0], "words": ["for all"] * 3}
        worker.send({"type": "stop"})
        assert worker.read(10) == {"type": "bye", "reason": "stopped"}
        worker.wait_until_gone(10)


@pytest.mark.parametrize(
    ("scenario", "kind", "message"),
    [
        ("user 1", "user", "rank 1: what the user wrote"),
        ("user 0", "user", "what the user wrote"),
        ("bug 2", "bug", "rank 2: ZeroDivisionError: a defect"),
        ("bug 0", "bug", "ZeroDivisionError: a defect"),
        ("call 1", "call", "rank 1: not now"),
    ],
)
def test_an_error_of_one_rank_is_told_as_its_own(scenario: str, kind: str, message: str, tmp_path: Path) -> None:
    with ask(tmp_path, 3, scenario) as worker:
        error = answer(worker)["error"]
        assert (error["type"], error["message"]) == (kind, message)
        assert error["retryable"] is (kind == "call")
        worker.send({"type": "stop"})
        worker.wait_until_gone(10)


@pytest.mark.parametrize(("rank", "status"), [(0, 137), (2, 137)])
def test_a_killed_rank_ends_all_and_is_named(rank: int, status: int, tmp_path: Path) -> None:
    with ask(tmp_path, 3, f"killed {rank}") as worker:
        worker.read_until("event", READY_S)  # all are there
        assert worker.read(10) is None  # no frame: whose end it was is the guardian's to tell
        assert worker.process.wait(10) == status
        worker.wait_until_gone(10)
        assert f"rank {rank} was killed by SIGKILL" in worker.log.read_text()


def test_a_killed_guardian_takes_all_ranks_with_it(tmp_path: Path) -> None:
    with ask(tmp_path, 3, "wait") as worker:
        worker.read_until("event", READY_S)  # all are there
        os.kill(worker.process.pid, signal.SIGKILL)
        worker.wait_until_gone(10)


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    """Where others than the guardian start the ranks, they say at which port they meet."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        variables = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        done = subprocess.run(
            [sys.executable, TESTS / "ranked_role.py", "meet"],
            env={**os.environ, **variables, "PYTHONPATH": f"{PACKAGE}{os.pathsep}{TESTS}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert f"UserError: the ranks of the training can't meet at 127.0.0.1:{port}" in done.stderr
