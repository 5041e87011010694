"""The items of a benchmark, from a local file or the hub, under the names that the YAML files know."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rrr_workers.config import Config, hub_commit
from rrr_workers.data.sources import parse_line
from rrr_workers.errors import UserError
from rrr_workers.hashing import content_hash
from rrr_workers.hub.repos import Repo, find_commit
from rrr_workers.hub.splits import load_split
from rrr_workers.tasks.base import BadRow
from rrr_workers.text import numbered_lines

Row = dict[str, Any]

#: (data set, its configuration, its split)
_HUB = {
    "gsm8k": ("openai/gsm8k", "main", "test"),
    "math": ("HuggingFaceH4/MATH-500", None, "test"),
    "hellaswag": ("Rowan/hellaswag", None, "validation"),
    "mmlu_pro": ("TIGER-Lab/MMLU-Pro", None, "test"),
}
_ID_DIGITS = 16


def read_rows(task: str, source: str | Repo, most: int | None) -> list[Row]:
    """The items in the order of the data, each with an ``id``. Of more than ``most`` those with the lowest ids: the
    same ones in every run, and among those of a larger ``most``. Raises :class:`UserError`."""
    rows = []
    seen: Counter[str] = Counter()
    for place, raw in _hub_rows(source) if isinstance(source, Repo) else _file_rows(Path(source)):
        row = _NORMALISE[task](_Columns(place, raw))
        name = content_hash(row)[:_ID_DIGITS]
        seen[name] += 1
        rows.append({"id": name if seen[name] == 1 else f"{name}-{seen[name]}", **row})
    if not rows:
        raise UserError(f"benchmarks.path: {source} holds no row", cure="correct the file, or leave its benchmark out")
    kept = {row["id"] for row in sorted(rows, key=lambda row: str(row["id"]))[:most]}
    return [row for row in rows if row["id"] in kept]


class _Columns:
    """The columns of one row, and errors that name its place."""

    def __init__(self, place: str, raw: Mapping[str, Any]):
        self._place = place
        self._raw = raw

    def __contains__(self, name: str) -> bool:
        return name in self._raw

    def text(self, name: str) -> str:
        return str(self._checked(name, "text", lambda value: isinstance(value, str) and value.strip() != ""))

    def texts(self, name: str) -> list[str]:
        def holds(value: Any) -> bool:
            return isinstance(value, list) and len(value) > 1 and all(isinstance(item, str) for item in value)

        return list(self._checked(name, "a list of texts", holds))

    def index(self, name: str, below: int) -> int:
        value = self._raw.get(name)
        number = int(value) if isinstance(value, str) and value.isdecimal() else value
        if isinstance(number, int) and 0 <= number < below:
            return number
        raise self.problem(f"column {name} must be a whole number below {below}, and is {value!r}")

    def problem(self, message: str) -> UserError:
        return UserError(f"{self._place}: {message}", cure="the columns are in docs/forgetting.md")

    def _checked(self, name: str, what: str, holds: Callable[[Any], bool]) -> Any:
        if name not in self._raw:
            raise self.problem(f"column {name} is missing; the row has {', '.join(self._raw)}")
        if not holds(self._raw[name]):
            raise self.problem(f"column {name} must be {what}, and is {self._raw[name]!r:.80}")
        return self._raw[name]


def _gsm8k(columns: _Columns) -> Row:
    answer = columns.text("answer")
    if "####" not in answer:
        raise columns.problem("column answer must end with #### and the number")
    return {"question": columns.text("question"), "answer": answer}


def _math(columns: _Columns) -> Row:
    question = columns.text("question" if "question" in columns else "problem")
    return {"question": question, "answer": columns.text("answer")}


def _hellaswag(columns: _Columns) -> Row:
    if "query" in columns:
        query = columns.text("query")
    else:
        ending = columns.text("ctx_b").capitalize() if "ctx_b" in columns else ""
        query = f"{columns.text('activity_label')}: {columns.text('ctx_a')} {ending}"
    endings = [_without_markup(ending) for ending in columns.texts("endings")]
    return {"query": _without_markup(query), "endings": endings, "label": columns.index("label", len(endings))}


def _without_markup(text: str) -> str:
    """As lm-eval's hellaswag: what is left of the pages that a part of it comes from."""
    return re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". ")).replace("  ", " ")


def _mmlu_pro(columns: _Columns) -> Row:
    options = columns.texts("options")
    answer = columns.text("answer")
    if answer not in set("ABCDEFGHIJ"[: len(options)]):
        raise columns.problem(f"column answer must be the letter of one of {len(options)} options, and is {answer!r}")
    category = columns.text("category")
    return {"question": columns.text("question"), "options": options, "answer": answer, "category": category}


_NORMALISE = {"gsm8k": _gsm8k, "math": _math, "hellaswag": _hellaswag, "mmlu_pro": _mmlu_pro}


def _file_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        for number, line in numbered_lines(path):
            row = parse_line(line)
            if isinstance(row, BadRow):
                raise UserError(f"{path}:{number}: {row}", cure="correct the line")
            yield f"{path}:{number}", row
    except OSError as error:
        raise UserError(f"benchmarks.path: can't read {path}: {error.strerror}", cure="make the file again") from error


def hub_set(task: str, config: Config) -> Repo:
    name, subset, split = _HUB[task]
    return Repo("dataset", name, hub_commit(config, "dataset", name), "benchmarks.tasks", subset, split)


def _hub_rows(repo: Repo) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, row in enumerate(load_split(repo, find_commit(repo)), start=1):
        yield f"{repo.id}[{repo.split}] row {number}", row
