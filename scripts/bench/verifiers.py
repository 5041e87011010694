"""Verdicts a second of each verifier on one core: half of the completions are right, the others wrong in every way.

npm run --silent bench -- verifiers      last line: {"countdown": verdicts/s, "function_calling": verdicts/s}
"""

import itertools
import json
import time

from rrr_workers.tasks.base import Query, Task
from rrr_workers.tasks.countdown.task import Countdown
from rrr_workers.tasks.function_calling.task import FunctionCalling

ROWS = 500
SECONDS = 2.0


def countdown_pairs(task: Task) -> list[tuple[Query, str]]:
    """Answers to generated problems, each behind a few lines of thought; every second one keeps its target."""
    pairs = []
    for index, row in enumerate(task.generate(ROWS, seed=0)):
        a, b, *rest = row["nums"]
        expression = f"({a} + {b}) * " + " - ".join(map(str, rest))
        value = (a + b) * rest[0] - sum(rest[1:])
        target = value if index % 2 == 0 else value + 1
        query = Query(str(index), {"nums": row["nums"], "target": target})
        pairs.append((query, f"<think>First {a} and {b}, then the rest.</think>\n<answer>{expression}</answer>"))
    return pairs


def function_calling_pairs(task: Task) -> list[tuple[Query, str]]:
    """Reference answers to generated requests, and as many corrupted ones."""
    pairs: list[tuple[Query, str]] = []
    for row in task.generate(ROWS, seed=0):
        query = task.normalise(row)
        right = task.reference_answer(query)
        assert right is not None
        wrong = [completion for completion, _ in task.corruptions(query)]
        pairs += [(query, right), (query, wrong[len(pairs) // 2 % len(wrong)])]
    return pairs


def verdicts_per_second(task: Task, pairs: list[tuple[Query, str]]) -> int:
    """CPU seconds, so that a busy machine does not count."""
    assert 0.4 < sum(task.judge(query, text, "stop").passed for query, text in pairs) / len(pairs) < 0.6
    started = time.process_time()
    for done in itertools.count(1):
        for query, text in pairs:
            task.judge(query, text, "stop")
        spent = time.process_time() - started
        if spent > SECONDS:
            return round(done * len(pairs) / spent)
    raise AssertionError("unreachable")


def main() -> None:
    countdown, function_calling = Countdown(), FunctionCalling()
    print(
        json.dumps(
            {
                "countdown": verdicts_per_second(countdown, countdown_pairs(countdown)),
                "function_calling": verdicts_per_second(function_calling, function_calling_pairs(function_calling)),
            }
        )
    )


if __name__ == "__main__":
    main()
