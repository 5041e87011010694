"""Training in two processes over gloo: the run of one process, and how it ends when one of them fails.

npm run --silent bench -- ranks [--faults N] [--shuffled-steps N]
last line: {"ddp": {"same_completions", "weight_difference"}, "fsdp2": {...}, "resume_equal", "shuffled_reward_gain",
            "faults": {"rows", "ok"}}

Real `rrr train` runs on the tiny model. accelerate ignores FSDP on a CPU, so for fsdp2 a stand-in for the
trainer's role (workers/tests/watched_trainer.py) has it shard for real; the rest is what users run.

same_completions      whether every reflection of 3 steps is, token for token, that of one process
weight_difference     the largest |difference| of a weight after 3 steps at a learning rate of 1e-5, in float32
resume_equal          killed after a checkpoint and resumed, with DDP: steps, sampled ids, weights, optimizer, scheduler
                      and random states are bit for bit those of the unbroken run
shuffled_reward_gain  the shuffled control with half a group a process: mean advantage of the reflections whose retry
                      passed less that of the others (0: it teaches nothing), and its standard error
faults                rank 0 or 1 is killed, stopped (SIGSTOP), raises or is out of memory, while sampling, in the
                      weight update or in a checkpoint: ok where the run ended within 10 s (a stopped one: of
                      train.step_timeout_s, 15), its error was shown, and no process was left
"""
# ruff: noqa: E402 - what drives the runs lives with the tests

import argparse
import json
import sys
import tempfile
from itertools import product
from math import sqrt
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from support.rrr_run import ROOT, progress

sys.path[:0] = [str(ROOT / "workers" / "tests")]
from ranked_runs import Ended, RankedRuns, difference, fault, same_end

ROWS = list(product((0, 1), ("step", "sync", "save"), ("killed", "stopped", "raises", "memory")))


def compare(one: Ended, several: Ended) -> dict[str, Any]:
    return {
        "same_completions": several.sampled() == one.sampled(),
        "weight_difference": difference(several, one),
    }


def shuffled_gain(runs: RankedRuns, steps: int) -> tuple[float, float]:
    """Mean over the steps, and its standard error."""
    settings = {
        "train.processes": 2,
        "train.reward": "shuffled",
        "train.steps": steps,
        "train.batch_size": 8,
        "train.num_generations": 8,
        "train.retries_per_reflection": 1,
        "train.learning_rate": 1e-7,
        "train.checkpoint_every": steps,
    }
    ended = finished(runs.train("shuffled", settings))
    gains = []
    for passed, advantages in ended.advantages():
        right = [value for value, yes in zip(advantages, passed, strict=True) if yes]
        wrong = [value for value, yes in zip(advantages, passed, strict=True) if not yes]
        if right and wrong:
            gains.append(mean(right) - mean(wrong))
    return mean(gains), stdev(gains) / sqrt(len(gains))


def finished(run: Ended) -> Ended:
    if run.status != 0:
        raise SystemExit(run.output)
    progress(f"{run.run.name} done")
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=len(ROWS), help="how many of the rows")
    parser.add_argument("--shuffled-steps", type=int, default=300)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rrr-bench-") as folder:
        runs = RankedRuns(Path(folder), (ROOT / "models" / "tiny").resolve())
        progress("failures sampled")
        one = finished(runs.train("one", {"train.processes": 1}))
        two = finished(runs.train("two", {"train.processes": 2}))
        sharding = {"train.processes": 2, "train.sharding": "fsdp2"}
        sharded = finished(runs.train("sharded", sharding, env={"RRR_TEST_SHARD": "1"}))
        runs.train("broken", {"train.processes": 2}, kill_after='"checkpoint"')
        resumed = finished(runs.train("broken", {"train.processes": 2}, flags=["--resume"]))
        gain, error = shuffled_gain(runs, arguments.shuffled_steps)
        result = {
            "ddp": compare(one, two),
            "fsdp2": compare(one, sharded),
            "resume_equal": same_end(two, resumed) == [],
            "shuffled_reward_gain": round(gain, 4),
            "shuffled_reward_standard_error": round(error, 4),
        }
        ok = 0
        for row in ROWS[: arguments.faults]:
            wrong = fault(runs, *row)
            ok += not wrong
            progress(f"fault {row}: {'; '.join(wrong) or 'ok'}")
    print(json.dumps({**result, "faults": {"rows": len(ROWS[: arguments.faults]), "ok": ok}}))


if __name__ == "__main__":
    main()
