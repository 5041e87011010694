"""JSON lines, or what a file is instead: told by its start, as a whole and not row by row."""

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from rrr_workers.errors import UserError

_START = 1 << 16
_GZIP = b"\x1f\x8b"
_FROM_CSV = "import csv, json, sys; [print(json.dumps(row)) for row in csv.DictReader(sys.stdin)]"
_FROM_TSV = _FROM_CSV.replace("sys.stdin)", 'sys.stdin, delimiter="\\t")')
#: First bytes, what it is, and how to go on ("{}": the path).
_OTHERS = (
    (b"PAR1", "a parquet file", "write data.source: parquet"),
    (b"PK\x03\x04", "a zip archive", "unzip {}"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "zstd -d {}"),
    (b"BZh", "compressed by bzip2", "bunzip2 {}"),
    (b"\xfd7zXZ", "compressed by xz", "unxz {}"),
    (b"version https://git-lfs", "only a pointer to the file: it was cloned without git-lfs", "git lfs pull"),
)
_UTF_16 = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"), (b"{\x00", "UTF-16LE"), (b"\x00{", "UTF-16BE"))


def json_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    r"""(number from 1, line) of every line that isn't blank, of a file that may be compressed by gzip.

    Lines end at ``\n`` alone: JSON text may hold U+2028. Raises :class:`UserError` for a file of another kind, and
    OSError for one that can't be read.
    """
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
    with gzip.open(path) if packed else path.open("rb") as lines:
        try:
            _check_start(path, lines)
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, line
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise UserError(
                f"data.path: {path} is cut or damaged: {error}", cure="make or copy the file again"
            ) from error


def _check_start(path: Path, file: BinaryIO | gzip.GzipFile) -> None:
    start = file.read(_START)
    file.seek(0)
    for magic, what, cure in _OTHERS:
        if start.startswith(magic):
            raise _other(path, what, cure.format(path))
    for magic, code in _UTF_16:
        if start.startswith(magic):
            raise _other(path, f"in {code}", f"iconv -f {code} -t UTF-8 {path} > rows.jsonl")
    text = start.decode("utf-8-sig", "replace").strip()
    lines = [line for line in text.split("\n") if line.strip()]
    if text.startswith("[") and _opens_objects(text, lines[0]):
        raise _other(path, "a JSON array, not JSON lines", f"jq -c '.[]' {path} > rows.jsonl")
    if text.startswith("{") and not _is_json(lines[0]) and len(lines) > 1 and _goes_on(lines):
        raise _other(path, "JSON over many lines, not JSON lines", f"jq -c . {path} > rows.jsonl")
    if len(lines) > 1 and not any(line.lstrip().startswith(("{", "[")) for line in lines):
        for mark, what, program in ((",", "CSV", _FROM_CSV), ("\t", "TSV", _FROM_TSV)):
            if mark in lines[0] and mark in lines[1]:
                cure = f"python3 -c '{program}' < {path} > rows.jsonl; every value is text then"
                raise _other(path, f"{what}, not JSON lines", cure)


def _other(path: Path, what: str, cure: str) -> UserError:
    return UserError(f"data.path: {path} is {what}", cure=cure)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _opens_objects(text: str, first: str) -> bool:
    """Whether an array begins that holds objects, on one line or on many."""
    return text[1:].lstrip().startswith("{") and not (_is_json(first) and len(first) < len(text))


def _goes_on(lines: list[str]) -> bool:
    """Whether the second line is inside of what the first one opens: such as ``"key": ...``."""
    return lines[0].strip() == "{" or lines[1].startswith((" ", "\t", '"'))
