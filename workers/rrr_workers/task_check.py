"""Worker that shows what a task makes of its rows: prompts, and verdicts on answers that must pass and must fail.

    python -m rrr_workers.task_check      (frames on stdin and stdout: rrr_workers/protocol.py)

Method ``check`` {rows}: the first ``rows`` usable rows. Reference answers come from the task's ``reference_answer``,
corrupted ones from its ``corruptions``; every task also gets an empty answer and the reference answer of another row,
which must fail. No model is loaded: ``format: auto`` of function calling is judged as "json".
"""

import asyncio
from collections.abc import Iterator
from typing import Any

from rrr_workers.config import Config
from rrr_workers.datasets import read_rows
from rrr_workers.episode import question_messages
from rrr_workers.protocol import Call, Role, UserError, serve
from rrr_workers.tasks.base import BadRow, Query, Task
from rrr_workers.tasks.registry import load_task

_ROWS = 5


class TaskChecker:
    """The role of this worker."""

    def __init__(self, config: Config, task: Task):
        self._config = config
        self._task = task

    def info(self) -> dict[str, Any]:
        return {"task": self._task.name, "error_kinds": list(self._task.error_kinds)}

    async def handle(self, call: Call) -> dict[str, Any]:
        if call.method != "check":
            raise ValueError(f"unknown method {call.method!r}")
        return await asyncio.to_thread(check_task, self._config, self._task, call.params.get("rows", _ROWS))

    async def close(self) -> None:
        pass


def check_task(config: Config, task: Task, count: int) -> dict[str, Any]:
    """``{rows: [{place, id, prompt, checks}], bad_rows, problems, referenced}``.

    ``checks`` are ``{answer, expected, kind, detail, ok}``; ``expected`` is "passed", "failed" (any kind) or a kind.
    ``problems`` counts the checks that aren't ok, ``referenced`` the rows that have a reference answer.
    """
    queries: list[tuple[str, Query]] = []
    bad_rows: list[str] = []
    for place, row in read_rows(config, task):
        try:
            if isinstance(row, BadRow):
                raise row
            queries.append((place, task.normalise(row)))
        except BadRow as error:
            bad_rows.append(f"{place}: {error}")
        if len(queries) == count or len(bad_rows) == count:
            break
    if not queries:
        raise UserError("no row is usable:\n  " + "\n  ".join(bad_rows or ["there are no rows"]), cure="fix the data")
    rows: list[dict[str, Any]] = []
    for index, (place, query) in enumerate(queries):
        neighbour = queries[(index + 1) % len(queries)][1]
        checks = [_check(task, query, answer, expected) for answer, expected in _answers(task, query, neighbour)]
        rows.append({"place": place, "id": query.id, "prompt": question_messages(task, query), "checks": checks})
    return {
        "rows": rows,
        "bad_rows": bad_rows,
        "problems": sum(not check["ok"] for row in rows for check in row["checks"]),
        "referenced": sum(task.reference_answer(query) is not None for _, query in queries),
    }


def _answers(task: Task, query: Query, neighbour: Query) -> Iterator[tuple[str, str]]:
    """(completion, what its verdict must be)."""
    reference, other = task.reference_answer(query), task.reference_answer(neighbour)
    if reference is not None:
        yield reference, "passed"
    yield "", "failed"
    # Another row's answer may happen to be right here, too, when the two rows ask for the same.
    if other is not None and other != reference:
        yield other, "failed"
    # A verifier from outside has kinds of its own.
    yield from ((answer, "failed" if task.blocking else kind) for answer, kind in task.corruptions(query))


def _check(task: Task, query: Query, answer: str, expected: str) -> dict[str, Any]:
    verdict = task.judge(query, answer, "stop")
    known = verdict.kind == "passed" if verdict.passed else verdict.kind in task.error_kinds or task.blocking
    right = not verdict.passed if expected == "failed" else verdict.kind == expected
    return {
        "answer": answer,
        "expected": expected,
        "kind": verdict.kind,
        "detail": verdict.detail if known else f"kind {verdict.kind!r} is not among the task's error_kinds",
        "ok": known and right,
    }


async def build(config: Config, options: dict[str, Any]) -> Role:
    """The task alone is loaded."""
    return TaskChecker(config, load_task(config.task))


if __name__ == "__main__":
    serve("task_check", build)
