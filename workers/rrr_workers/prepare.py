"""Worker that turns the configured data into train.jsonl and test.jsonl, and checks what a run needs before it starts.

    python -m rrr_workers.prepare      (frames on stdin and stdout: rrr_workers/protocol.py)

Rows stream through; memory holds one id and one split key a row. Neither torch nor vLLM is imported.
"""

import json
import os
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any

from rrr_workers.config import Config
from rrr_workers.datasets import read_rows
from rrr_workers.models import check_model
from rrr_workers.one_method import OneMethod
from rrr_workers.protocol import Call, Role, UserError, serve
from rrr_workers.splits import assign_split, content_hash
from rrr_workers.tasks.base import BadRow, Query, Task
from rrr_workers.tasks.registry import load_task, templates

_EXAMPLES = 5
_PROGRESS_EVERY = 5000


def prepare(config: Config, task: Task, output: Path, call: Call | None = None) -> dict[str, Any]:
    """Write the splits into ``output`` and return the counts (``prepareResult`` of src/protocol/methods.ts).

    ``read`` is the sum of ``train``, ``test``, ``unused``, ``duplicates`` and ``skipped``. Raises
    :class:`UserError` on the first bad row, unless ``data.on_bad_row`` is skip. An empty split is no error here.
    """
    data = config.data
    counts = dict.fromkeys(("read", "train", "test", "unused", "duplicates", "skipped"), 0)
    limits = {"train": data.train_rows, "test": data.test_rows}
    skipped_examples: list[str] = []
    seen: set[str] = set()
    keys: dict[str, set[bytes]] = {"train": set(), "test": set()}
    output.mkdir(parents=True, exist_ok=True)
    with AtomicLines(output / "train.jsonl") as train, AtomicLines(output / "test.jsonl") as test:
        files = {"train": train, "test": test}
        for index, (place, row) in enumerate(read_rows(config, task)):
            counts["read"] += 1
            if call and counts["read"] % _PROGRESS_EVERY == 0:
                call.progress("prepare", counts["read"], data.rows)
            query = row if isinstance(row, BadRow) else _normalise(task, row, place)
            if isinstance(query, BadRow):
                problem = f"{place}: {query}" + ("" if isinstance(row, BadRow) else f" in {_excerpt(row)}")
                if data.on_bad_row == "fail":
                    raise UserError(problem, cure="fix the row, or set data.on_bad_row: skip")
                counts["skipped"] += 1
                skipped_examples += [problem] if len(skipped_examples) < _EXAMPLES else []
                continue
            if query.id in seen:
                counts["duplicates"] += 1
                continue
            seen.add(query.id)
            split_key = query.id if query.split_key is None else query.split_key
            split = assign_split(split_key, data.test_fraction, data.train_fraction)
            if split == "unused" or counts[split] == limits[split]:
                counts["unused"] += 1
                continue
            counts[split] += 1
            keys[split].add(bytes.fromhex(content_hash(split_key)))
            files[split].write({"id": query.id, "index": index, "fields": query.fields})
        if keys["train"] & keys["test"]:
            raise AssertionError("a split key is on both sides of the train/test split")
    return {**counts, "skipped_examples": skipped_examples, "prompts": templates(task)}


def _normalise(task: Task, row: Any, place: str) -> Query | BadRow:
    try:
        return task.normalise(row)
    except BadRow as error:
        return error
    except Exception as error:  # a bug of the task: it should know where
        error.add_note(f"in {place}")
        raise


def _excerpt(row: Any) -> str:
    """The start of a row, for an error."""
    text = json.dumps(dict(islice(row.items(), 20)), ensure_ascii=False, default=str)
    return text if len(text) <= 200 else text[:197] + "..."


class AtomicLines(AbstractContextManager["AtomicLines"]):
    """JSON lines that replace ``path`` as a whole, once all are written and on disk; an error leaves it alone."""

    def __init__(self, path: Path):
        self._path = path
        self._temporary = path.with_name(f"{path.name}.tmp")
        self._file = self._temporary.open("w", encoding="utf-8")

    def write(self, row: dict[str, Any]) -> None:
        self._file.write(json.dumps(row, separators=(",", ":")) + "\n")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._file.close()
            self._temporary.unlink()
            return
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._temporary.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


async def build(config: Config, options: dict[str, Any]) -> Role:
    """Everything that can be found wrong without loading a model is found here."""
    task = load_task(config.task)
    check_model(config)
    return OneMethod(
        "prepare",
        lambda call: prepare(config, task, Path(call.params["output"]), call),
        {"task": task.name},
    )


if __name__ == "__main__":
    serve("prepare", build)
