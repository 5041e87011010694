"""Ranks under their guardian, without a model: who has the pipe, whose error is told, and that nobody is left."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness import PACKAGE, TESTS, WorkerProcess, resolved_config
from rrr_workers.runtime.frames import PROTOCOL_VERSION
from rrr_workers.training import group

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


class Nodes:
    """Two tasks of a Slurm step as srun starts them: a guardian each, stdin and stdout with the first."""

    def __init__(self, tmp_path: Path, scenario: str):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = str(free.getsockname()[1])
        shared = {"SCENARIO": scenario, "SLURM_NTASKS": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        path = {"PYTHONPATH": f"{PACKAGE}{os.pathsep}{TESTS}"}
        self.log = tmp_path / "rank-{rank}"
        command = [sys.executable, "-m", "rrr_workers.runtime.guardian", "--slurm", "--logs", str(self.log)]
        self.tasks = [
            subprocess.Popen(
                [*command, "ranked_role"],
                env={**os.environ, **shared, **path, "SLURM_PROCID": str(task), "SLURMD_NODENAME": f"n{task + 1}"},
                stdin=subprocess.DEVNULL if task else subprocess.PIPE,
                stdout=subprocess.DEVNULL if task else subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
            for task in range(2)
        ]

    def __enter__(self) -> "Nodes":
        self.send({"type": "start", "protocol": PROTOCOL_VERSION, "config": resolved_config(), "options": {}})
        self.until("ready")
        self.send({"type": "call", "id": 1, "method": "train", "params": {"words": "for all"}})
        return self

    def __exit__(self, *_: object) -> None:
        for task in self.tasks:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(task.pid, signal.SIGKILL)
            task.wait(10)
            for pipe in (task.stdin, task.stdout, task.stderr):
                if pipe:
                    pipe.close()

    def send(self, frame: dict[str, Any]) -> None:
        stdin = self.tasks[0].stdin
        assert stdin
        stdin.write(json.dumps(frame).encode() + b"\n")
        stdin.flush()

    def until(self, *kinds: str) -> dict[str, Any]:
        stdout = self.tasks[0].stdout
        assert stdout
        while line := stdout.readline():
            frame: dict[str, Any] = json.loads(line)
            if frame["type"] in kinds:
                return frame
        raise AssertionError("no frame any more")

    def rank(self, number: int) -> int:
        (child,) = psutil.Process(self.tasks[number].pid).children()
        return child.pid


def test_ranks_on_two_nodes_work_together_and_end_with_rank_0(tmp_path: Path) -> None:
    with Nodes(tmp_path, "sum") as nodes:
        assert nodes.until("result")["value"] == {"sum": [3.0, 2.0], "least": [1.0], "words": ["for all"] * 2}
        nodes.send({"type": "stop"})
        assert [task.wait(20) for task in nodes.tasks] == [0, 0]


def test_an_error_on_another_node_is_told_as_its_own_and_ends_all(tmp_path: Path) -> None:
    with Nodes(tmp_path, "user 1") as nodes:
        assert nodes.until("error")["error"]["message"] == "rank 1: what the user wrote"
        nodes.send({"type": "stop"})
        assert [task.wait(20) for task in nodes.tasks] == [0, 0]


def test_a_rank_that_is_killed_on_another_node_ends_its_task_with_its_last_words(tmp_path: Path) -> None:
    """Slurm then ends the other task: srun --kill-on-bad-exit."""
    with Nodes(tmp_path, "wait") as nodes:
        nodes.until("event")  # all are there
        Path(str(nodes.log).replace("{rank}", "1")).write_text("last words\n")
        os.kill(nodes.rank(1), signal.SIGKILL)
        assert nodes.tasks[1].wait(20) == 137
        stderr = nodes.tasks[1].stderr
        assert stderr
        assert re.search(rb"last words\nrank 1 on n2 was killed by SIGKILL: /", stderr.read())


def test_ranks_end_when_the_node_of_rank_0_is_cut_off(tmp_path: Path) -> None:
    """srun is gone, which nobody but the end of stdin tells; the worker is too busy to read it."""
    with Nodes(tmp_path, "wait") as nodes:
        nodes.until("event")
        os.kill(nodes.rank(0), signal.SIGSTOP)
        assert nodes.tasks[0].stdin
        nodes.tasks[0].stdin.close()
        assert [task.wait(20) for task in nodes.tasks] == [137, 0]


def test_a_port_that_another_program_has_is_told_by_the_guardian(tmp_path: Path) -> None:
    with socket.create_server(("", 0)) as taken:
        variables = {"SLURM_PROCID": "0", "SLURM_NTASKS": "2", "SLURMD_NODENAME": "n1", "MASTER_ADDR": "n1"}
        done = subprocess.run(
            [sys.executable, "-m", "rrr_workers.runtime.guardian", "--slurm", "ranked_role"],
            env={**os.environ, **variables, "MASTER_PORT": str(taken.getsockname()[1]), "PYTHONPATH": str(PACKAGE)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert "of n1: Address already in use" in done.stderr


def test_the_interface_to_a_host_is_the_one_with_the_route() -> None:
    assert group._interface_to("127.0.0.1") == "lo"
