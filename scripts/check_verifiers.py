#!/usr/bin/env python3
"""Try the verifiers on generated completions, hostile ones included, against independent oracles.

    .venv/bin/python scripts/check_verifiers.py [--count 1000000] [--seed 0]

The oracles and generators are workers/tests/oracle_*.py; each case draws its options, so that every notation, place of
the answer, match and format has its share. Every verdict must be one the oracle allows and take less than 50 ms of CPU
time. One line a verifier, JSON last; exit status 1 where either promise is broken.
"""

# ruff: noqa: E402 - the oracles live with the tests

import argparse
import gc
import json
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent.parent / "workers" / "tests")]

import oracle_calls
import oracle_countdown
from rrr_workers.tasks.base import Query, Task
from rrr_workers.tasks.countdown.task import Countdown
from rrr_workers.tasks.function_calling.task import FunctionCalling

LIMIT_MS = 50.0
_SHOWN = 5
_PROGRESS_EVERY = 50_000


def countdown_case(rng: random.Random, tasks: dict[Any, Task]) -> tuple[Task, Query, Any, set[str]]:
    """A task, a row, a case with completion and finish_reason, and the kinds that a right verdict may have."""
    case = oracle_countdown.Case(rng)
    if (case.answer, case.notation) not in tasks:
        tasks[case.answer, case.notation] = Countdown({"answer": case.answer, "notation": case.notation})
    task = tasks[case.answer, case.notation]
    return task, Query("case", {"nums": case.nums, "target": case.target}), case, oracle_countdown.expected_kinds(case)


def function_calling_case(rng: random.Random, tasks: dict[Any, Task]) -> tuple[Task, Query, Any, set[str]]:
    """As :func:`countdown_case`."""
    case = oracle_calls.Case(rng)
    if (case.style, case.match) not in tasks:
        tasks[case.style, case.match] = FunctionCalling({"format": case.style, "match": case.match})
    fields = {"query": "q", "tools": [{"name": name} for name in case.offered], "answers": json.dumps(case.answers)}
    if case.match != "exact":
        fields["accepted"] = json.dumps([dict([call]) for call in case.reference])
    if case.match == "bfcl":
        fields["types"] = json.dumps(case.types)
    return tasks[case.style, case.match], Query("case", fields), case, oracle_calls.expected_kinds(case)


CASES = {"countdown": countdown_case, "function_calling": function_calling_case}


def check(name: str, count: int, seed: int) -> dict[str, Any]:
    """Judge ``count`` completions. Times are CPU milliseconds of this thread, without its garbage collections."""
    gc.disable()
    rng = random.Random(f"{name}-{seed}")
    tasks: dict[Any, Task] = {}
    kinds: Counter[str] = Counter()
    wrong: list[dict[str, Any]] = []
    wrong_count, slowest_ms, slowest = 0, 0.0, ""
    for done in range(count):
        task, query, case, expected = CASES[name](rng, tasks)
        started = time.thread_time()
        verdict = task.judge(query, case.completion, case.finish_reason)
        spent_ms = (time.thread_time() - started) * 1000
        kinds[verdict.kind] += 1
        if verdict.kind not in expected or verdict.passed != (verdict.kind == "passed"):
            wrong_count += 1
            if len(wrong) < _SHOWN:
                given = {"verdict": verdict.kind, "detail": verdict.detail}
                wrong.append({"case": vars(case), **given, "expected": sorted(expected)})
        if spent_ms > slowest_ms:
            slowest_ms, slowest = spent_ms, case.completion[:120]
        if (done + 1) % _PROGRESS_EVERY == 0:
            gc.collect()
            print(f"{name}: {done + 1:,} of {count:,}", file=sys.stderr)
    return {
        "judged": count,
        "wrong": wrong_count,
        "wrong_examples": wrong,
        "slowest_ms": round(slowest_ms, 2),
        "slowest": slowest,
        "kinds": dict(kinds.most_common()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000, help="completions a verifier")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=sorted(CASES))
    arguments = parser.parse_args()
    report = {name: check(name, arguments.count, arguments.seed) for name in CASES if arguments.only in (None, name)}
    for name, found in report.items():
        print(f"{name}: {found['judged']:,} judged, {found['wrong']} wrong, slowest {found['slowest_ms']} ms")
    print(json.dumps(report))
    if any(found["wrong"] or found["slowest_ms"] >= LIMIT_MS for found in report.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
