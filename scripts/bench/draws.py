"""What adaptive drawing saves: draws until the first failure, against 64 of every query and against the expectation.

npm run --silent bench -- draws [--rates 5 30 80] [--pairs 3] [--scale 1.0]
last line: {"at_5", "at_30", "at_80": {"of_fixed", "of_expectation", "tokens_per_second_of_fixed", ...}}

Real `rrr build-failures` runs on the tiny model; a task of the bench's own fails 5, 30 or 80 % of all draws, told by a
hash of the query and the completion, so that chance alone decides. The model's weights are random, so that a query's
completions don't repeat and its draws are independent. Draws made ahead of need count as spent.

of_fixed          spent draws / 64 draws a query
of_expectation    spent draws / the mean of min(64, geometric), (1 - (1 - p)^64) / p a query
standard_error    of of_expectation, by chance in the draws needed
of_needed         spent draws / draws needed, which has no chance in it: 1 + the wasted share
tokens_per_second_of_fixed   against runs that stop no query, start-up and first batch left out of all: an adaptive
                  run over the mean of the fixed runs right before and right after it, the median over the pairs
"""

import argparse
import json
import math
import tempfile
from array import array
from itertools import pairwise
from pathlib import Path
from statistics import mean, median
from typing import Any

from support.mining import ROOT, Mined, give_the_engine_a_core, mine, progress

MAX_DRAWS = 64
FIXED_ROWS = 256
#: Failure rate in percent, and rows of a run: such that three of them give a standard error below 0.015.
ADAPTIVE_ROWS = {5: 1500, 30: 5000, 80: 9500}
WARM_UP_DRAWS = 2000
TASK = Path(__file__).with_name("support") / "fails_by_hash.py"


def random_model(folder: Path) -> Path:
    """The tiny model as it was before it learnt."""
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
    expected = sum(draw * share for draw, share in enumerate(shares, 1))
    return expected, math.sqrt(sum(share * (draw - expected) ** 2 for draw, share in enumerate(shares, 1)))


def tokens_per_second(mined: Mined) -> float:
    """Of all draws that were finished after the warm-up, those made ahead of need included. All are about as long."""
    verdicts = array("d")
    verdicts.frombytes((mined.run / "clock").read_bytes())
    warm_up = min(WARM_UP_DRAWS, len(verdicts) // 4)
    draws_per_second = (len(verdicts) - warm_up) / (verdicts[-1] - verdicts[warm_up - 1])
    return draws_per_second * mined.summary["completion_tokens"] / mined.summary["draws"]


def measure(folder: Path, model: Path, percent: int, pairs: int, scale: float) -> dict[str, Any]:
    """Runs that stop no query and adaptive runs in turn: a machine that grows slower or faster counts for neither."""
    rate = percent / 100
    rows, fixed_rows = (max(100, round(scale * count)) for count in (ADAPTIVE_ROWS[percent], FIXED_ROWS))

    def draw(name: str, seed: int, rows: int, failures_per_query: int) -> Mined:
        run = folder / name
        run.mkdir()
        config = {"seed": seed, **settings(model, run, rows, rate, failures_per_query)}
        return mine(ROOT / "configs" / "demo.yaml", run, config)

    fixed_speeds = [tokens_per_second(draw("fixed-0", 0, fixed_rows, MAX_DRAWS))]
    adaptive = []
    for pair in range(1, pairs + 1):
        adaptive.append(draw(f"adaptive-{pair}", pair, rows, 1))
        fixed_speeds.append(tokens_per_second(draw(f"fixed-{pair}", pair, fixed_rows, MAX_DRAWS)))
    speeds = [tokens_per_second(mined) for mined in adaptive]
    ratios = [speed / mean(around) for speed, around in zip(speeds, pairwise(fixed_speeds), strict=True)]
    queries, needed, wasted = (
        sum(mined.summary[key] for mined in adaptive) for key in ("queries", "draws", "wasted_draws")
    )
    spent = needed + wasted
    expected, deviation = expectation(rate)
    return {
        "of_fixed": round(spent / (MAX_DRAWS * queries), 4),
        "of_expectation": round(spent / (expected * queries), 4),
        "standard_error": round(deviation / expected / math.sqrt(queries), 4),
        "of_needed": round(spent / needed, 4),
        "tokens_per_second_of_fixed": round(median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "tokens_per_second": {"fixed": [*map(round, fixed_speeds)], "adaptive": [*map(round, speeds)]},
        "queries": queries,
        "draws": {"needed": needed, "wasted": wasted},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of rows")
    parser.add_argument("--pairs", type=int, default=3, help="of an adaptive and a fixed run")
    parser.add_argument(
        "--rates", type=int, nargs="+", choices=ADAPTIVE_ROWS, default=list(ADAPTIVE_ROWS), help="percent"
    )
    options = parser.parse_args()
    give_the_engine_a_core()
    report = {}
    with tempfile.TemporaryDirectory(prefix="rrr-bench-") as folder:
        model = random_model(Path(folder, "model"))
        for percent in options.rates:
            runs = Path(folder, str(percent))
            runs.mkdir()
            report[f"at_{percent}"] = measure(runs, model, percent, options.pairs, options.scale)
            progress(f"{percent} %: {report[f'at_{percent}']}")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
