"""Worker that describes a data set as a run would split it: sizes, tools and calls, duplicates across the split.

    python -m rrr_workers.data_stats      (frames on stdin and stdout: rrr_workers/protocol.py)

Method ``stats`` {}: reads every row that the config names; limits of a split (train_rows, test_rows) don't apply.
"""

from collections import Counter
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

from rrr_workers.config import Config
from rrr_workers.datasets import read_rows
from rrr_workers.near_duplicates import near_duplicates
from rrr_workers.one_method import OneMethod
from rrr_workers.protocol import Role, serve
from rrr_workers.splits import assign_split, content_hash
from rrr_workers.tasks.base import BadRow, Query, Task
from rrr_workers.tasks.registry import load_task

_EXAMPLES = 5


def describe(config: Config, task: Task) -> dict[str, Any]:
    """``{rows, bad_rows, bad_examples, splits, task, duplicates}``: ``dataStatsResult`` of src/protocol/methods.ts.

    ``duplicates``: ``exact``, rows with the content of an earlier one; ``same_problem``, rows that share an earlier
    one's split key (they stay on its side); ``across_split``, keys on both sides, which must be 0;
    ``near_across_split``, test rows with a near duplicate among the training rows, null for tasks without a text.
    """
    queries: list[Query] = []
    bad_rows: list[str] = []
    rows = 0
    for place, row in read_rows(config, task):
        rows += 1
        try:
            if isinstance(row, BadRow):
                raise row
            queries.append(task.normalise(row))
        except BadRow as error:
            bad_rows.append(f"{place}: {error}")
    distinct = list({query.id: query for query in queries}.values())
    sides: dict[str, list[Query]] = {"train": [], "test": [], "unused": []}
    for query in distinct:
        key = _split_key(query)
        sides[assign_split(key, config.data.test_fraction, config.data.train_fraction)].append(query)
    keys = {side: {content_hash(_split_key(query)) for query in members} for side, members in sides.items()}
    return {
        "rows": rows,
        "bad_rows": len(bad_rows),
        "bad_examples": bad_rows[:_EXAMPLES],
        "splits": {side: len(members) for side, members in sides.items()},
        "task": task.statistics(distinct),
        "duplicates": {
            "exact": len(queries) - len(distinct),
            "same_problem": sum(n - 1 for n in Counter(content_hash(_split_key(q)) for q in distinct).values()),
            "across_split": len(keys["train"] & keys["test"]),
            "near_across_split": _near(task, sides["test"], sides["train"]),
        },
    }


def _split_key(query: Query) -> Any:
    return query.id if query.split_key is None else query.split_key


def _near(task: Task, test: list[Query], train: list[Query]) -> dict[str, Any] | None:
    texts_test, texts_train = ([task.text(query) for query in side] for side in (test, train))
    if None in texts_test or None in texts_train:
        return None
    left, right = [text or "" for text in texts_test], [text or "" for text in texts_train]
    found = list(near_duplicates(left, right))
    nearest = {index: max(group, key=itemgetter(2)) for index, group in groupby(found, key=itemgetter(0))}
    examples = [
        {"test": left[i], "train": right[j], "similarity": round(similarity, 3)}
        for i, j, similarity in islice(nearest.values(), _EXAMPLES)
    ]
    return {"test_rows": len(nearest), "pairs": len(found), "examples": examples}


async def build(config: Config, options: dict[str, Any]) -> Role:
    """The task alone is loaded."""
    task = load_task(config.task)
    return OneMethod("stats", lambda _: describe(config, task), {"task": task.name})


if __name__ == "__main__":
    serve("data_stats", build)
