"""A real ``rrr build-failures`` in a process of its own, and when its results came."""

import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
_POLL_S = 0.01


@dataclass(frozen=True)
class Mined:
    """A finished run. ``seconds`` and ``begun`` leave out the start-up and the warm-up."""

    run: Path
    config: dict[str, Any]
    #: From the end of the warm-up to the last result.
    seconds: float
    #: RUN/failures/tallies.jsonl: one result a query, in the order of the data.
    tallies: list[dict[str, Any]]
    #: Place of the first query that was begun after the warm-up.
    begun: int

    @property
    def tokens_per_second(self) -> float:
        """What the engine still did for the queries that the warm-up left unfinished is not in it: a lower bound."""
        return sum(row["completion_tokens"] for row in self.tallies[self.begun :]) / self.seconds


def start(config: Path, run: Path, settings: dict[str, Any]) -> subprocess.Popen[bytes]:
    """The command line, started as users start it. What it prints goes to RUN.out."""
    command = [str(ROOT / "dist" / "main.js"), "build-failures", "-c", str(config), "--run", str(run)]
    flags = [part for key, value in settings.items() for part in ("--set", f"{key}={json.dumps(value)}")]
    environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}
    with open(f"{run}.out", "wb") as out:
        return subprocess.Popen([*command, *flags], stdout=out, stderr=out, env=environment)


def check_done(process: subprocess.Popen[bytes], run: Path) -> None:
    """Raises SystemExit with what an ended process printed, unless it did its work."""
    if process.returncode != 0:
        raise SystemExit(f"rrr build-failures failed:\n{Path(f'{run}.out').read_text()}")


def mine(config: Path, run: Path, settings: dict[str, Any], warm_up: int = 0) -> Mined:
    """Run it to its end. The warm-up ends with result number ``warm_up``; 0: once the model is loaded."""
    journal = run / "failures" / "journal.jsonl"
    warm_at = None
    with start(config, run, settings) as process:
        while process.poll() is None:
            time.sleep(_POLL_S)
            if warm_up and warm_at is None and journal.exists() and _lines(journal) >= warm_up:
                warm_at = time.time(), _lines(journal)
    check_done(process, run)
    resolved = json.loads((run / "failures" / "config.json").read_text())
    warmed, done = warm_at or (_ready_at(run), 0)
    return Mined(
        run=run,
        config=resolved,
        seconds=journal.stat().st_mtime - warmed,
        tallies=_read(run / "failures" / "tallies.jsonl"),
        begun=done + resolved["workers"]["max_in_flight"] if warm_up else 0,
    )


def give_the_engine_a_core() -> None:
    """Of its own, on a CPU, as vLLM advises: the tiny model's forward pass needs one, and what else runs (the command
    line and the worker, or raw vLLM's front end) then doesn't take its place."""
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", str(min(os.sched_getaffinity(0))))


def progress(line: str) -> None:
    """One line for who waits."""
    print(f"[load {os.getloadavg()[0]:.1f}] {line}", flush=True)


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n")


def _read(path: Path) -> list[dict[str, Any]]:
    with path.open() as lines:
        return [json.loads(line) for line in lines]


def _ready_at(run: Path) -> float:
    """When the sampling worker had loaded its model, seconds."""
    for record in _read(run / "logs" / "rrr.log"):
        if record.get("worker") == "sampler-0" and record["msg"] == "worker ready":
            return float(record["time"]) / 1000
    raise SystemExit(f"{run}: the sampling worker was never ready")
