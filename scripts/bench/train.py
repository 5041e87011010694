"""What rrr's training costs: the time of its steps over those of plain TRL on the same reflections, retries included.

npm run --silent bench -- train [--batch 256] [--steps 15]
last line: {"ratio", "cpu_ratio", "prefix_cache_share", ...}

A real `rrr build-failures` and a real `rrr train` of configs/demo.yaml on the tiny model, in float32, with `--batch`
reflections a step and four retries each. Plain TRL (support/plain_trl.py) is a process of its own: stock `GRPOTrainer`
with the same settings, on an engine with the same arguments, which samples the reflections at rrr's seeds and learns
from rrr's rewards. After the reflections of a step it makes one bare `LLM.generate` of that step's retries. So both
have the same weights at every step, and do the same but for what is rrr's own: the retries' prompts, verdicts,
self-checks, seeds and sampling parameters of each sample, events, and the command line that is told of them.

The two take turns of a step, so that a machine that grows slower or faster does so for both: one holds still, between
two steps, while the other works. A step is all that is done from one `on_step_begin` to the next. Before the `--steps`
pairs of steps that are measured come a few that load, allocate and check the loss mask.

ratio              wall time of rrr's step / of plain TRL's with the bare retries: the median of the pairs. It needs a
                   machine with nothing else to do
cpu_ratio          the same of CPU time, user and system, of all the processes of each of the two
ratios, cpu_ratios quartiles of the pairs
prefix_cache_share of the prompt tokens of rrr's retries, the share that came from the engine's prefix cache: whole
                   blocks of 32 tokens, of the same step, as the cache is emptied when the weights change
reflections_prefix_cache_share   of the reflections' prompts
wall_s, cpu_s      seconds a step: the median of each of the two
cpu_s_by_part      CPU seconds a step: "sync" hands the weights to the engine, "reflections" and "retries" are their
                   `LLM.generate`, "rest" is what else the trainer's process does, "others" are other processes
same_reflections   whether both sampled the same tokens, from the same prompts and as much of the prefix cache
same_retries       the same of the retries
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from support.leash import Leashed
from support.rrr_run import ROOT, check_done, environment, progress, start
from support.steps import SOCKET, Seat, Step, listen

CONFIG = ROOT / "configs" / "demo.yaml"
BENCH = Path(__file__).parent
WARM_UP_STEPS = 3
#: Of the demo. The learning rate of a step depends on how many there are to be.
MOST_FAILURES, LEAST_STEPS = 1500, 60
NUM_GENERATIONS = 8
STAND_IN = """#!/bin/sh
set -- $(echo "$@" | sed s/rrr_workers.roles.trainer/support.timed_rrr/)
PYTHONPATH={bench} exec {python} "$@"
"""
Pair = dict[str, Step]


class Sampled:
    """What was told of steps, added up."""

    def __init__(self) -> None:
        self._prompt_tokens: Counter[str] = Counter()
        self._cached: Counter[str] = Counter()
        self._same: dict[str, bool] = {}

    def add(self, told: dict[str, Any], same: dict[str, bool]) -> None:
        for name, equal in same.items():
            self._prompt_tokens[name] += sum(len(request["prompt"]) for request in told[name])
            self._cached[name] += sum(request["cached"] for request in told[name])
            self._same[name] = equal and self._same.get(name, True)

    def cached_share(self, name: str) -> float:
        return round(self._cached[name] / self._prompt_tokens[name], 3)

    def same(self, name: str) -> bool:
        return self._same[name]


def settings(batch: int, steps: int) -> dict[str, Any]:
    steps = max(LEAST_STEPS, WARM_UP_STEPS + steps + 1)
    return {
        "train.batch_size": batch,
        "train.num_generations": NUM_GENERATIONS,
        "train.steps": steps,
        "train.checkpoint_every": steps,
        "train.processes": 1,
        "train.max_restarts": 0,
        "data.train_rows": min(MOST_FAILURES, steps * batch // NUM_GENERATIONS),
    }


def train(run: Path, given: dict[str, Any], socket: Path) -> Leashed:
    """``rrr train``, whose trainer calls ``socket``."""
    python = run.with_name("python")
    python.write_text(STAND_IN.format(bench=BENCH, python=sys.executable))
    python.chmod(0o755)
    return start(CONFIG, run, {**given, "python": str(python)}, "shared", "train", **{SOCKET: str(socket)})


def plain_trl(run: Path, socket: Path) -> Leashed:
    command = [sys.executable, str(BENCH / "support" / "plain_trl.py"), str(run)]
    env = {**environment("shared"), "PYTHONPATH": str(BENCH), SOCKET: str(socket)}
    return Leashed(command, run.with_name("plain-trl.out"), env)


def take_turns(rrr: Seat, plain: Seat, sampled: Sampled) -> Pair:
    """A step of each."""
    made = {"rrr": rrr.step()}
    told = rrr.ask("tell")
    plain.ask("take", **told)
    made["plain"] = plain.step()
    sampled.add(told, plain.ask("compare"))
    return made


def measure(folder: Path, batch: int, steps: int) -> dict[str, Any]:
    given = settings(batch, steps)
    run, socket = folder / "run", folder / "socket"
    with start(CONFIG, run, given) as failures:
        failures.wait()
        check_done(failures)
    progress("the failures are there")
    with listen(socket) as listener, train(run, given, socket) as program:
        rrr = Seat(program, listener)
        with plain_trl(run, socket) as program:
            plain = Seat(program, listener)
            for _ in range(WARM_UP_STEPS):
                take_turns(rrr, plain, Sampled())
            progress("both are warm")
            sampled = Sampled()
            pairs = []
            for _ in range(steps):
                pairs.append(take_turns(rrr, plain, sampled))
                progress(
                    ", ".join(f"{name} {step.wall_s:.2f} s, CPU {step.cpu_s:.2f} s" for name, step in pairs[-1].items())
                )
    return {**report(pairs), **report_sampled(sampled), "steps": steps, "batch_size": batch}


def report(pairs: list[Pair]) -> dict[str, Any]:
    wall = [pair["rrr"].wall_s / pair["plain"].wall_s for pair in pairs]
    cpu = [pair["rrr"].cpu_s / pair["plain"].cpu_s for pair in pairs]
    made = {name: [pair[name] for pair in pairs] for name in pairs[0]}
    return {
        "ratio": round(median(wall), 4),
        "cpu_ratio": round(median(cpu), 4),
        "ratios": quartiles(wall),
        "cpu_ratios": quartiles(cpu),
        "wall_s": {name: round(median(step.wall_s for step in steps), 3) for name, steps in made.items()},
        "cpu_s": {name: round(median(step.cpu_s for step in steps), 3) for name, steps in made.items()},
        "cpu_s_by_part": {name: by_part(steps) for name, steps in made.items()},
    }


def quartiles(values: list[float]) -> list[float]:
    found = quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return [round(value, 4) for value in found]


def by_part(steps: list[Step]) -> dict[str, float]:
    return {name: round(median(step.parts[name] for step in steps), 3) for name in steps[0].parts}


def report_sampled(sampled: Sampled) -> dict[str, Any]:
    return {
        "prefix_cache_share": sampled.cached_share("retries"),
        "reflections_prefix_cache_share": sampled.cached_share("reflections"),
        "same_reflections": sampled.same("reflections"),
        "same_retries": sampled.same("retries"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=256, help="reflections a step, a multiple of 8")
    parser.add_argument("--steps", type=int, default=15, help="of each of the two")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rrr-bench-") as folder:
        print(json.dumps(measure(Path(folder), options.batch, options.steps)))


if __name__ == "__main__":
    main()
