"""From the configured data to train.jsonl and test.jsonl. Rows stream through; memory holds an id, a hash and a split
key a row."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any

from rrr_workers.config import Config
from rrr_workers.data.sources import query_of, read_rows
from rrr_workers.data.splits import assign_split, split_key_of
from rrr_workers.errors import BugError, UserError
from rrr_workers.hashing import content_hash
from rrr_workers.tasks.base import BadRow
from rrr_workers.tasks.loaded import ID_CURE, LoadedTask
from rrr_workers.tasks.registry import templates, warnings_of
from rrr_workers.text import clip

_EXAMPLES = 5
_FIRST = 100  # rows
_BAD_ROW_CURE = "fix the row, or set data.on_bad_row: skip"
_PROGRESS_EVERY = 5000


def prepare(
    config: Config, loaded: LoadedTask, output: Path, progress: Callable[[int], None] = lambda _: None
) -> dict[str, Any]:
    """Write the splits into ``output`` and return the counts (``prepareResult`` of src/protocol/methods.ts).

    ``read`` is the sum of ``train``, ``test``, ``unused``, ``duplicates`` and ``skipped``; ``progress`` is told it now
    and then. Raises :class:`UserError` on the first bad row, unless ``data.on_bad_row`` is skip. An empty split is no
    error here.
    """
    data = config.data
    counts = dict.fromkeys(("read", "train", "test", "unused", "duplicates", "skipped"), 0)
    limits = {"train": data.train_rows, "test": data.test_rows}
    skipped_examples: list[str] = []
    seen: dict[str, int] = {}
    colliding = 0
    keys: dict[str, set[bytes]] = {"train": set(), "test": set()}
    output.mkdir(parents=True, exist_ok=True)
    with AtomicLines(output / "train.jsonl") as train, AtomicLines(output / "test.jsonl") as test:
        files = {"train": train, "test": test}
        for index, (where, row) in enumerate(read_rows(config, loaded)):
            counts["read"] += 1
            if counts["read"] % _PROGRESS_EVERY == 0:
                progress(counts["read"])
            query = query_of(loaded, where, row)
            if isinstance(query, BadRow):
                problem = _describe(query, where, row)
                if data.on_bad_row == "fail":
                    raise UserError(problem, cure=_BAD_ROW_CURE)
                counts["skipped"] += 1
                skipped_examples += [problem] if len(skipped_examples) < _EXAMPLES else []
                continue
            content = hash(json.dumps(query.fields))
            if query.id in seen:
                counts["duplicates"] += 1
                colliding += content != seen[query.id]
                continue
            seen[query.id] = content
            split_key = split_key_of(query)
            split = assign_split(split_key, data.test_fraction, data.train_fraction)
            if split == "unused" or counts[split] == limits[split]:
                counts["unused"] += 1
                continue
            counts[split] += 1
            keys[split].add(bytes.fromhex(content_hash(split_key)))
            files[split].write({"id": query.id, "index": index, "fields": query.fields})
        if keys["train"] & keys["test"]:
            raise BugError("a split key is on both sides of the train/test split")
    return {
        **counts,
        "skipped_examples": skipped_examples,
        "warnings": [*warnings_of(loaded.task), *_collisions(colliding)],
        "prompts": templates(loaded.task),
    }


def check_first_rows(config: Config, loaded: LoadedTask) -> None:
    """Raise :class:`UserError` where :func:`prepare` would within the first rows."""
    for where, row in islice(read_rows(config, loaded), _FIRST):
        query = query_of(loaded, where, row)
        if isinstance(query, BadRow) and config.data.on_bad_row == "fail":
            raise UserError(_describe(query, where, row), cure=_BAD_ROW_CURE)


def _describe(error: BadRow, where: str, row: Mapping[str, Any] | BadRow) -> str:
    return f"{where}: {error}" + ("" if isinstance(row, BadRow) else f" in {_excerpt(row)}")


def _collisions(count: int) -> Iterator[str]:
    if count:
        yield f"{count} rows have the id of an earlier one and other fields, and are dropped: {ID_CURE}"


def _excerpt(row: Mapping[str, Any]) -> str:
    """The start of a row, for an error."""
    return clip(json.dumps(dict(islice(row.items(), 20)), ensure_ascii=False, default=str), 200)


class AtomicLines(AbstractContextManager["AtomicLines"]):
    """JSON lines that replace ``path`` as a whole, once all are written and on disk; an error leaves it alone."""

    def __init__(self, path: Path):
        self._path = path
        self._temporary = path.with_name(f"{path.name}.tmp")
        self._file = self._temporary.open("w", encoding="utf-8")

    def write(self, row: dict[str, Any]) -> None:
        self._file.write(json.dumps(row, separators=(",", ":"), ensure_ascii=False) + "\n")

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
