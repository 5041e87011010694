"""`rrr train` in several processes, started as users start it, on a CPU: for test_ranks.py and scripts/bench/ranks.py.

The runs start from copies of one run directory with failures. Their trainer is watched_trainer.py, put in the place of
rrr's by a stand-in for Python.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from harness import PACKAGE, TESTS

ROOT = TESTS.parents[1]
_MARK = "RRR_RANKED_RUN"
_STAND_IN = """#!/bin/sh
set -- $(echo "$@" | sed s/rrr_workers.roles.trainer/watched_trainer/)
exec {python} "$@"
"""
SETTINGS = {
    "task.name": f"{TESTS}/judged_by_hash.py:JudgedByHash",
    "data.rows": 600,
    "data.train_rows": 60,
    "workers.max_in_flight": 32,
    "workers.stop_grace_s": 5,
    "engine.cpu_kv_cache_gib": 0.125,
    "train.steps": 3,
    "train.batch_size": 16,
    "train.num_generations": 4,
    "train.retries_per_reflection": 2,
    "train.learning_rate": 1e-5,
    "train.warmup_ratio": 0,
    "train.beta": 0.01,
    "train.checkpoint_every": 2,
    "train.max_restarts": 0,
}


@dataclass
class Ended:
    """A run that has ended: what it said, and how long after a planted fault it and its last process were gone."""

    run: Path
    status: int
    output: str
    events: list[dict[str, Any]] = field(default_factory=list)
    ended_s: float | None = None
    left: list[str] = field(default_factory=list)

    @property
    def steps(self) -> list[dict[str, Any]]:
        return [event for event in self.events if event["kind"] == "step"]

    def sampled(self) -> list[list[list[int]]]:
        """The ids of each step's reflections, in the order of the whole batch."""
        return self._recorded("ids")

    def advantages(self) -> list[tuple[list[bool], list[float]]]:
        """Of each step: whether a retry passed, and the advantage that the reflection got."""
        return list(zip(self._recorded("passed"), self._recorded("advantages"), strict=True))

    def _recorded(self, what: str) -> list[list[Any]]:
        rows: dict[int, dict[int, list[Any]]] = {}
        for line in (self.run / "sampled").read_text().splitlines():
            row = json.loads(line)  # a step that was made again replaces its first line
            rows.setdefault(row["step"], {})[row["rank"]] = row[what]
        return [[each for rank in sorted(rows[step]) for each in rows[step][rank]] for step in sorted(rows)]

    def weights(self) -> dict[str, Any]:
        from safetensors.torch import load_file

        weights: dict[str, Any] = load_file(self.run / "train" / "model" / "model.safetensors")
        return weights


class RankedRuns:
    """``folder`` takes the runs; ``model`` is a model of the tiny world."""

    def __init__(self, folder: Path, model: Path):
        self._folder = folder
        self._python = folder / "python"
        self._python.write_text(_STAND_IN.format(python=sys.executable))
        self._python.chmod(0o755)
        self._model = model
        self._first = folder / "failures"
        status, output = self._wait(self._start("build-failures", self._first, {}, {}))
        assert status == 0, output

    def train(
        self,
        name: str,
        settings: Mapping[str, Any],
        *,
        env: Mapping[str, str] | None = None,
        flags: Sequence[str] = (),
        kill_after: str | None = None,
    ) -> Ended:
        """Train in the run directory ``name``, a new one unless ``flags`` hold --resume.

        ``kill_after``: the whole run is killed once a line of its events holds this.
        """
        run = self._folder / name
        if "--resume" not in flags:
            shutil.copytree(self._first, run)
        fault = run / "fault"
        files = {"RRR_TEST_SAMPLED": str(run / "sampled"), "RRR_TEST_FAULT_AT": str(fault)}
        process = self._start("train", run, settings, {**files, **(env or {})}, flags)
        if kill_after is not None:
            self._kill_once(process, run, kill_after)
        status, output = self._wait(process)
        ended_s = time.time() - float(fault.read_text()) if fault.exists() else None
        return Ended(run, status, output, _events(run), ended_s, self._left())

    def _start(
        self, stage: str, run: Path, settings: Mapping[str, Any], env: Mapping[str, str], flags: Sequence[str] = ()
    ) -> "subprocess.Popen[str]":
        given = {**SETTINGS, "model.name": str(self._model), "python": str(self._python), **settings}
        sets = [part for key, value in given.items() for part in ("--set", f"{key}={json.dumps(value)}")]
        command = ["node", f"{ROOT}/dist/main.js", stage, "-c", f"{ROOT}/configs/demo.yaml", "--run", str(run)]
        environment = {
            "OMP_WAIT_POLICY": "PASSIVE",
            **os.environ,
            "PYTHONPATH": f"{PACKAGE}{os.pathsep}{TESTS}",
            _MARK: str(self._folder),
            **env,
        }
        return subprocess.Popen(
            [*command, *sets, *flags], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )

    @staticmethod
    def _wait(process: "subprocess.Popen[str]") -> tuple[int, str]:
        output, _ = process.communicate(timeout=300)
        return process.returncode, output

    def _kill_once(self, process: "subprocess.Popen[str]", run: Path, sign: str) -> None:
        events = run / "train" / "events.jsonl"
        while process.poll() is None and not (events.exists() and sign in events.read_text()):
            time.sleep(0.02)
        for pid in self._processes():
            os.kill(pid, signal.SIGKILL)

    def _left(self) -> list[str]:
        """Commands of the processes that are still there after 10 s, which are then killed."""
        deadline = time.monotonic() + 10
        while (left := self._processes()) and time.monotonic() < deadline:
            time.sleep(0.1)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        return list(left.values())

    def _processes(self) -> dict[int, str]:
        found = {}
        for process in psutil.process_iter():
            try:
                if process.environ().get(_MARK) == str(self._folder) and process.status() != psutil.STATUS_ZOMBIE:
                    found[process.pid] = " ".join(process.cmdline())
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found


def _events(run: Path) -> list[dict[str, Any]]:
    path = run / "train" / "events.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def difference(one: Ended, other: Ended) -> float:
    """The largest |difference| of two runs' trained weights."""
    left, right = one.weights(), other.weights()
    assert left.keys() == right.keys()
    return max(float((left[name] - right[name]).abs().max()) for name in left)


#: What a fault must be told as.
TOLD = {
    "killed": "rank {rank} was killed by SIGKILL",
    "stopped": "no answer to train within 15 s",
    "raises": "ZeroDivisionError: a planted fault",
    "memory": "out of GPU memory: a planted lack of memory",
}


def fault(runs: RankedRuns, rank: int, at: str, how: str) -> list[str]:
    """Plant it, and say what was wrong with how the run ended."""
    planted = json.dumps({"rank": rank, "at": at, "how": how})
    settings = {"train.processes": 2, "train.step_timeout_s": 15}
    ended = runs.train(f"{how}-{rank}-{at}", settings, env={"RRR_TEST_FAULT": planted})
    told = TOLD[how].format(rank=rank)
    whose = f"rank {rank}: " if rank and how in ("raises", "memory") else ""
    waited = 15 if how == "stopped" else 0
    return [
        *([f"exit status {ended.status}"] if ended.status not in (1, 2, 3) else []),
        *([f"not told: {whose}{told}, but {ended.output[-1500:]}"] if whose + told not in ended.output else []),
        *([f"ended after {ended.ended_s} s"] if ended.ended_s is None or ended.ended_s > 10 + waited else []),
        *(f"left: {command}" for command in ended.left),
    ]


def same_end(unbroken: Ended, resumed: Ended) -> list[str]:
    """What differs between a run and one that went on from a checkpoint, bit for bit; times and paths aside."""
    import torch

    wrong = [] if (unbroken.status, resumed.status) == (0, 0) else [unbroken.output, resumed.output]
    timed = ("seconds", "tokens_per_second")
    told = [[{k: v for k, v in step.items() if k not in timed} for step in run.steps] for run in (unbroken, resumed)]
    wrong += [] if told[0] == told[1] else [f"steps: {told}"]
    wrong += [] if unbroken.sampled() == resumed.sampled() else ["sampled ids"]
    wrong += [] if difference(unbroken, resumed) == 0 else ["weights"]
    newest = max((unbroken.run / "train" / "checkpoints").glob("checkpoint-*"))
    for file in sorted(newest.glob("*.pt*")):
        mine, its = (
            torch.load(run.run / "train" / "checkpoints" / newest.name / file.name, weights_only=False)
            for run in (unbroken, resumed)
        )
        wrong += [] if _same(mine, its) else [file.name]
    return wrong


def _same(one: Any, other: Any) -> bool:
    import numpy
    import torch

    if isinstance(one, dict):
        return bool(one.keys() == other.keys()) and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, numpy.ndarray):
        return bool(numpy.array_equal(one, other))
    return bool(one == other)
