"""What is in a data set, as a run would split it: sizes, tools and calls, duplicates across the split."""

from collections import Counter
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

from rrr_workers.config import Config
from rrr_workers.data.near_duplicates import near_duplicates
from rrr_workers.data.sources import query_of, read_rows
from rrr_workers.data.splits import Split, assign_split, split_key_of
from rrr_workers.hashing import content_hash
from rrr_workers.tasks.base import BadRow, Query
from rrr_workers.tasks.loaded import LoadedTask, user_code

_EXAMPLES = 5


def describe(config: Config, loaded: LoadedTask) -> dict[str, Any]:
    """``{rows, bad_rows, bad_examples, splits, task, duplicates}``: ``dataStatsResult`` of src/protocol/methods.ts.

    Every row that the config names is read; limits of a split (train_rows, test_rows) don't apply.

    ``duplicates``: ``exact``, rows with the id of an earlier one; ``colliding``, those of them that have other fields,
    which must be 0; ``same_problem``, rows that share an earlier
    one's split key (they stay on its side); ``across_split``, keys on both sides, which must be 0;
    ``near_across_split``, test rows with a near duplicate among the training rows, null for tasks without a text.
    """
    queries: list[Query] = []
    bad_rows: list[str] = []
    rows = 0
    for where, row in read_rows(config, loaded):
        rows += 1
        query = query_of(loaded, where, row)
        if isinstance(query, BadRow):
            bad_rows.append(f"{where}: {query}")
        else:
            queries.append(query)
    first: dict[str, Query] = {}
    for query in queries:
        first.setdefault(query.id, query)
    distinct = list(first.values())
    sides: dict[Split, list[Query]] = {"train": [], "test": [], "unused": []}
    for query in distinct:
        key = split_key_of(query)
        sides[assign_split(key, config.data.test_fraction, config.data.train_fraction)].append(query)
    keys = {side: {content_hash(split_key_of(query)) for query in members} for side, members in sides.items()}
    with user_code(type(loaded.task), "statistics"):
        statistics = loaded.task.statistics(distinct)
    return {
        "rows": rows,
        "bad_rows": len(bad_rows),
        "bad_examples": bad_rows[:_EXAMPLES],
        "splits": {side: len(members) for side, members in sides.items()},
        "task": statistics,
        "duplicates": {
            "exact": len(queries) - len(distinct),
            "colliding": sum(first[query.id].fields != query.fields for query in queries),
            "same_problem": sum(n - 1 for n in Counter(content_hash(split_key_of(q)) for q in distinct).values()),
            "across_split": len(keys["train"] & keys["test"]),
            "near_across_split": _near(loaded, sides["test"], sides["train"]),
        },
    }


def _near(loaded: LoadedTask, test: list[Query], train: list[Query]) -> dict[str, Any] | None:
    with user_code(type(loaded.task), "text"):
        texts_test, texts_train = ([loaded.task.text(query) for query in side] for side in (test, train))
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
