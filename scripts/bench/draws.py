"""What adaptive drawing saves: draws until the first failure, against 64 of every query and against the expectation.

npm run --silent bench -- draws [--rates 5 30 80] [--scale 1.0]
last line: {"at_5", "at_30", "at_80": {"of_fixed", "of_expectation", "tokens_per_second_of_fixed", ...}}

Real `rrr build-failures` runs on the tiny model; a task of the bench's own fails 5, 30 or 80 % of all draws, told by a
hash of the query and the completion, so that chance alone decides. The model's weights are random, so that a query's
completions don't repeat and its draws are independent. Draws made ahead of need count as spent.

of_fixed          spent draws / 64 draws a query
of_expectation    spent draws / the mean of min(64, geometric), (1 - (1 - p)^64) / p a query
standard_error    of of_expectation, by chance in the draws needed
of_needed         spent draws / draws needed, which has no chance in it: 1 + the wasted share
tokens_per_second_of_fixed   against a run that stops no query. The two run in turns of a second, so that a machine that
                  grows slower or faster does so for both; from when both are warm to the last draw of the adaptive run.
                  A ratio of draws: random weights make all of them as long, but for chance
"""

import argparse
import json
import math
import tempfile
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from support.leash import Leashed
from support.rrr_run import ROOT, check_done, progress, start
from support.turns import Turn, take_turns

MAX_DRAWS = 64
#: Failure rate in percent, and rows of the adaptive run: such that the standard error is below 0.015.
ROWS = {5: 4000, 30: 8000, 80: 9500}
#: The run that stops no query has more to draw than the adaptive one, and rows that fill the engine to its end.
FIXED_OF_ADAPTIVE, MIN_FIXED_ROWS = 1.5, 768
WARM_UP_DRAWS = 2000
TASK = Path(__file__).with_name("support") / "fails_by_hash.py"


def random_model(folder: Path) -> Path:
    """The tiny model as it was before its training."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    tiny = ROOT / "models" / "tiny"
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(tiny)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny).save_pretrained(folder)
    return folder


def settings(model: Path, run: Path, rows: int, rate: float, failures_per_query: int) -> dict[str, Any]:
    return {
        "model.name": str(model),
        "task.name": f"{TASK}:FailsByHash",
        "task.options.failure_rate": rate,
        "task.options.clock": str(run / "clock"),
        "failures.max_draws": MAX_DRAWS,
        "failures.failures_per_query": failures_per_query,
        "data.rows": math.ceil(rows / 0.9),
        "data.test_fraction": 0.05,
        "data.train_fraction": 0.95,
        "data.train_rows": rows,
    }


def expectation(rate: float) -> tuple[float, float]:
    """Mean and standard deviation of min(64, geometric(rate))."""
    shares = [rate * (1 - rate) ** (draw - 1) for draw in range(1, MAX_DRAWS)]
    shares.append(1 - sum(shares))
    mean = sum(draw * share for draw, share in enumerate(shares, 1))
    return mean, math.sqrt(sum(share * (draw - mean) ** 2 for draw, share in enumerate(shares, 1)))


def verdict_times(run: Path) -> Sequence[float]:
    """In seconds since the epoch, in their order."""
    times = array("d")
    times.frombytes((run / "clock").read_bytes())
    return times


def draws_per_second(times: Sequence[float], turns: list[Turn], since: float, until: float) -> float:
    """Of a run's own turns. Draws that were made ahead of need count too."""
    draws = bisect_right(times, until) - bisect_right(times, since)
    return draws / sum(max(0.0, min(end, until) - max(begin, since)) for begin, end in turns)


def measure(folder: Path, model: Path, percent: int, scale: float) -> dict[str, Any]:
    rate = percent / 100
    rows = max(100, round(scale * ROWS[percent]))
    expected, deviation = expectation(rate)
    fixed_rows = max(MIN_FIXED_ROWS, math.ceil(FIXED_OF_ADAPTIVE * rows * expected / MAX_DRAWS))

    def begin(name: str, rows: int, failures_per_query: int) -> tuple[Path, Leashed]:
        run = folder / name
        run.mkdir()
        config = settings(model, run, rows, rate, failures_per_query)
        return run, start(ROOT / "configs" / "demo.yaml", run, config)

    fixed_run, fixed = begin("fixed", fixed_rows, MAX_DRAWS)
    with fixed:
        adaptive_run, adaptive = begin("adaptive", rows, 1)
        with adaptive:
            turns: tuple[list[Turn], list[Turn]] = ([], [])
            for number, turn in take_turns(fixed, adaptive):
                turns[number].append(turn)
                if fixed.poll() is not None:
                    raise SystemExit(f"the fixed run ended first: {fixed.output.read_text()}")
                if adaptive.poll() is not None:
                    break
            check_done(adaptive)
    fixed_turns, adaptive_turns = turns
    fixed_times, adaptive_times = verdict_times(fixed_run), verdict_times(adaptive_run)
    warm_up = min(WARM_UP_DRAWS, len(adaptive_times) // 4)
    since, until = max(fixed_times[warm_up], adaptive_times[warm_up]), adaptive_times[-1]
    fixed_speed = draws_per_second(fixed_times, fixed_turns, since, until)
    adaptive_speed = draws_per_second(adaptive_times, adaptive_turns, since, until)
    summary = json.loads((adaptive_run / "failures" / "summary.json").read_text())
    queries, needed, wasted = (summary[key] for key in ("queries", "draws", "wasted_draws"))
    spent = needed + wasted
    return {
        "of_fixed": round(spent / (MAX_DRAWS * queries), 4),
        "of_expectation": round(spent / (expected * queries), 4),
        "standard_error": round(deviation / expected / math.sqrt(queries), 4),
        "of_needed": round(spent / needed, 4),
        "tokens_per_second_of_fixed": round(adaptive_speed / fixed_speed, 3),
        "draws_per_second": {"fixed": round(fixed_speed), "adaptive": round(adaptive_speed)},
        "queries": queries,
        "draws": {"needed": needed, "wasted": wasted},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of rows")
    parser.add_argument("--rates", type=int, nargs="+", choices=ROWS, default=list(ROWS), help="percent")
    options = parser.parse_args()
    report = {}
    with tempfile.TemporaryDirectory(prefix="rrr-bench-") as folder:
        model = random_model(Path(folder, "model"))
        for percent in options.rates:
            runs = Path(folder, str(percent))
            runs.mkdir()
            report[f"at_{percent}"] = measure(runs, model, percent, options.scale)
            progress(f"{percent} %: {report[f'at_{percent}']}")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
