"""Raw rows from the hub, a file or a task's generator: one at a time, each with where it is, to name in an error."""

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from rrr_workers.config import Config, Data
from rrr_workers.data.file_kinds import json_lines
from rrr_workers.errors import UserError
from rrr_workers.hub.repos import data_of, find_commit
from rrr_workers.hub.splits import load_split
from rrr_workers.tasks.base import BadRow, Query, check_plain_json
from rrr_workers.tasks.loaded import LoadedTask, user_code
from rrr_workers.text import clip

#: (where the row is, such as "rows.jsonl:3", the row).
RawRow = tuple[str, Mapping[str, Any] | BadRow]
_SHOWN = 200  # characters of a bad row
_PATH_CURE = "correct data.path, or make the file again"


def read_rows(config: Config, loaded: LoadedTask) -> Iterator[RawRow]:
    """The first ``data.rows`` rows under the task's names for the columns; a row that can't be read is a BadRow."""
    data = config.data
    if data.source == "generator":
        rows = _generated(loaded, data, config.seed)
    elif data.source == "jsonl":
        rows = _jsonl_rows(_path(data))
    elif data.source == "parquet":
        rows = _parquet_rows(_path(data))
    else:
        rows = _hub_rows(config)
    for where, row in islice(rows, data.rows):
        yield where, row if isinstance(row, BadRow) else _rename(row, data.columns)


def query_of(loaded: LoadedTask, where: str, row: Mapping[str, Any] | BadRow) -> Query | BadRow:
    """The query that the task makes of a row, or why it doesn't."""
    if isinstance(row, BadRow):
        return row
    try:
        query = loaded.normalise(row, where)
        check_plain_json(query.fields)
    except BadRow as error:
        return error
    return query


def typed_query(config: Config, loaded: LoadedTask, text: str) -> Query:
    """The query of a row that a person typed, as JSON under the names of the task or of the data; where prompts hold a
    single placeholder, its bare text will do. Raises :class:`UserError`."""
    row: Mapping[str, Any] | BadRow
    if text.lstrip().startswith("{"):
        row = parse_line(text.encode())
    elif len(loaded.task.placeholders) == 1:
        row = {loaded.task.placeholders[0]: text}
    else:
        row = BadRow(f"not a JSON object: {clip(text, _SHOWN)}")
    if not isinstance(row, BadRow):
        row = {**row, **{field: row[column] for field, column in config.data.columns.items() if column in row}}
    query = query_of(loaded, "--query", row)
    if isinstance(query, BadRow):
        cure = "write the task's columns as a JSON object: rrr try without --query shows one"
        raise UserError(f"--query: {query}", cure=cure)
    return query


def _rename(row: Mapping[str, Any], columns: Mapping[str, str]) -> Mapping[str, Any] | BadRow:
    for column in columns.values():
        if column not in row:
            return BadRow(f"column {column!r} of data.columns is missing; the row has {', '.join(map(repr, row))}")
    return {**row, **{field: row[column] for field, column in columns.items()}}


# That data.rows, data.path and data.dataset are there where they are needed is checked by src/config/rules.ts.


def _generated(loaded: LoadedTask, data: Data, seed: int) -> Iterator[RawRow]:
    assert data.rows is not None
    with user_code(type(loaded.task), "generate"):
        for number, row in enumerate(loaded.task.generate(data.rows, seed), start=1):
            yield f"generated row {number}", row


def _path(data: Data) -> Path:
    assert data.path is not None
    return Path(data.path)


def _jsonl_rows(path: Path) -> Iterator[RawRow]:
    try:
        for number, line in json_lines(path):
            yield f"{path}:{number}", parse_line(line)
    except OSError as error:
        raise UserError(f"data.path: can't read {path}: {error.strerror}", cure=_PATH_CURE) from error


def parse_line(line: bytes) -> Mapping[str, Any] | BadRow:
    try:
        row = json.loads(line.decode("utf-8-sig").strip())
    except UnicodeDecodeError as error:
        return BadRow(f"not UTF-8: byte 0x{line[error.start]:02x} at column {error.start + 1} of {_excerpt(line)}")
    except (ValueError, RecursionError) as error:  # ValueError: also numbers of thousands of digits
        return BadRow(f"not JSON: {error} in {_excerpt(line)}")
    return row if isinstance(row, dict) else BadRow(f"not a JSON object but {type(row).__name__}: {_excerpt(line)}")


def _excerpt(line: bytes) -> str:
    return clip(line.decode("utf-8", "backslashreplace").strip(), _SHOWN)


def _parquet_rows(path: Path) -> Iterator[RawRow]:
    import pyarrow as arrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
        number = 0
        for batch in file.iter_batches(batch_size=1000):
            for row in batch.to_pylist():
                number += 1
                yield f"{path} row {number}", _without_filling(row)
    except (arrow.ArrowException, OSError) as error:
        raise UserError(f"data.path: {path} is not a readable parquet file: {error}", cure=_PATH_CURE) from error


def _hub_rows(config: Config) -> Iterator[RawRow]:
    [repo] = data_of(config)
    for number, row in enumerate(load_split(repo, find_commit(repo)), start=1):
        yield f"{repo.id}[{repo.split}] row {number}", _without_filling(row)


def _without_filling(row: Mapping[str, Any]) -> dict[str, Any]:
    """``row`` without the nulls that Arrow put into its structs: all structs of a column have the keys of each of them,
    so a key that a row doesn't have is null. A null that the row did have can't be told from these and goes too."""
    return {column: _drop_nulls(value) for column, value in row.items()}


def _drop_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _drop_nulls(item) for key, item in value.items() if item is not None}
    return [_drop_nulls(item) for item in value] if isinstance(value, list) else value
