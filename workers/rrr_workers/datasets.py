"""Raw rows from the hub, a file or a task's generator: one at a time, each with the place to name in an error."""

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from rrr_workers.config import Config, Data
from rrr_workers.protocol import UserError
from rrr_workers.tasks.base import BadRow, Task

Place = str
RawRow = tuple[Place, Mapping[str, Any] | BadRow]


def read_rows(config: Config, task: Task) -> Iterator[RawRow]:
    """The first ``data.rows`` rows under the task's names for the columns; a row that can't be read is a BadRow."""
    data = config.data
    if data.source == "generator":
        rows = _generated(task, data, config.seed)
    elif data.source == "jsonl":
        rows = _jsonl_rows(_existing_file(data))
    elif data.source == "parquet":
        rows = _parquet_rows(_existing_file(data))
    else:
        rows = _hub_rows(data)
    for place, row in islice(rows, data.rows):
        yield place, row if isinstance(row, BadRow) else _rename(row, data.columns)


def _rename(row: Mapping[str, Any], columns: Mapping[str, str]) -> Mapping[str, Any] | BadRow:
    for column in columns.values():
        if column not in row:
            return BadRow(f"column {column!r} of data.columns is missing; the row has {', '.join(map(repr, row))}")
    return {**row, **{field: row[column] for field, column in columns.items()}}


def _generated(task: Task, data: Data, seed: int) -> Iterator[RawRow]:
    if data.rows is None:
        raise UserError("data.rows is missing", cure="say how many problems to generate: data.rows")
    for number, row in enumerate(task.generate(data.rows, seed), start=1):
        yield f"generated row {number}", row


def _existing_file(data: Data) -> Path:
    if data.path is None:
        raise UserError("data.path is missing", cure=f"data.source: {data.source} needs data.path")
    path = Path(data.path)
    if not path.is_file():
        problem = "is not a file" if path.exists() else "does not exist"
        raise UserError(f"data.path: {path} {problem}", cure="a path is relative to the config file's folder")
    return path


def _jsonl_rows(path: Path) -> Iterator[RawRow]:
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield f"{path}:{number}", _parse_line(line)
    except OSError as error:
        raise UserError(f"data.path: can't read {path}: {error.strerror}") from error


def _parse_line(line: bytes) -> Mapping[str, Any] | BadRow:
    try:
        row = json.loads(line.decode("utf-8-sig").strip())
    except UnicodeDecodeError as error:
        return BadRow(f"not UTF-8: byte 0x{line[error.start]:02x} at column {error.start + 1} of {_excerpt(line)}")
    except (ValueError, RecursionError) as error:  # ValueError: also numbers of thousands of digits
        return BadRow(f"not JSON: {error} in {_excerpt(line)}")
    return row if isinstance(row, dict) else BadRow(f"not a JSON object but {type(row).__name__}: {_excerpt(line)}")


def _excerpt(line: bytes) -> str:
    text = line.decode("utf-8", "backslashreplace").strip()
    return text if len(text) <= 200 else text[:197] + "..."


def _parquet_rows(path: Path) -> Iterator[RawRow]:
    import pyarrow as arrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
        number = 0
        for batch in file.iter_batches(batch_size=1000):
            for row in batch.to_pylist():
                number += 1
                yield f"{path} row {number}", row
    except (arrow.ArrowException, OSError) as error:
        raise UserError(f"data.path: {path} is not a readable parquet file: {error}") from error


def _hub_rows(data: Data) -> Iterator[RawRow]:
    if data.dataset is None:
        raise UserError("data.dataset is missing", cure="data.source: hub needs data.dataset")
    for number, row in enumerate(_load_hub_split(data.dataset, data), start=1):
        yield f"{data.dataset}[{data.hub_split}] row {number}", row


def _load_hub_split(name: str, data: Data) -> Any:
    """A ``datasets.Dataset``: memory-mapped, so its size on disk is no concern here."""
    import datasets
    import httpx
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return datasets.load_dataset(name, data.subset, split=data.hub_split)
    except datasets.exceptions.DatasetNotFoundError as error:
        cure = "check the name; for a gated data set accept its terms on the hub and set HF_TOKEN"
        raise UserError(f"data.dataset: {error}", cure=cure) from error
    except ValueError as error:  # how `datasets` tells of an unknown subset or split
        raise UserError(f"data.dataset {name}: {error}", cure="check data.subset and data.hub_split") from error
    except (ConnectionError, OSError, httpx.HTTPError, HfHubHTTPError) as error:
        cure = "check the connection and HF_ENDPOINT, or download the rows and use data.source: jsonl or parquet"
        raise UserError(f"data.dataset: can't load {name} from the hub: {error}", cure=cure) from error
