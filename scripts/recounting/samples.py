"""The samples beside and within a report: every row of samples.csv, and what the page has embedded."""

import base64
import csv
import gzip
import hashlib
import io
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .evaluation import Evaluation
from .run import Json, Run, Try, last_answer, retried
from .words import title

_HEAD = [
    *("decoding", "sample", "id", "arm", "step", "round", "text"),
    *("tokens", "prompt_tokens", "truncated", "passed", "kind", "detail"),
]
_BLOCKS = re.compile(r'<script type="application/octet-stream">([^<]*)</script>')
_SCRIPT = re.compile(r'<script type="module">(.*?)</script>', re.DOTALL)
_POLICY = re.compile(r"script-src 'sha256-([^']+)'")
_PARTS = ("first", "reflection", "retry")
Row = list[str]
#: Place, what is there and what should be.
Difference = tuple[str, str, str]


@dataclass(eq=False)
class Samples:
    run: Run
    evaluations: Sequence[Evaluation]
    _known: dict[tuple[str, ...], list[Difference]] = field(default_factory=dict)

    @cached_property
    def _tries(self) -> list[tuple[Evaluation, Try]]:
        return [(each, tried) for each in self.evaluations for tried in each.tries]

    @cached_property
    def _wanted(self) -> list[Row]:
        """As samples.csv must have them, the head among them."""
        return [_HEAD, *(row for each, tried in self._tries for row in _rows(self.run, each, tried))]

    def wrong_in_csv(self, text: str) -> Iterator[Difference]:
        found = list(csv.reader(io.StringIO(text, newline="")))
        if len(found) != len(self._wanted):
            yield "rows", str(len(found)), str(len(self._wanted))
        for number, (row, wanted) in enumerate(zip(found, self._wanted, strict=False), 1):
            if row != wanted:
                yield f"row {number}", repr(row), repr(wanted)

    def wrong_in_page(self, html: str) -> Iterator[Difference]:
        """Of what the page has embedded, and of its script, whose hash is in its policy."""
        script, policy = _SCRIPT.search(html), _POLICY.search(html)
        if not script or not policy or _hash(script[1]) != policy[1]:
            yield "script", "another one", "the one that the page's policy names"
        # A report that is audited many times has the same samples each time.
        packed = tuple(_BLOCKS.findall(html))
        if packed not in self._known:
            self._known[packed] = self._wrong_in(packed)
        yield from self._known[packed]

    def _wrong_in(self, packed: tuple[str, ...]) -> list[Difference]:
        try:
            index, *blocks = [json.loads(gzip.decompress(base64.b64decode(each, validate=True))) for each in packed]
        except (ValueError, OSError, EOFError, zlib.error) as error:
            return [("embedded samples", str(error), "gzipped JSON in base64")]
        wrong = []
        found = [case for block in blocks for case in block]
        if len(found) != len(self._tries):
            wrong.append(("embedded samples", str(len(found)), str(len(self._tries))))
        for number, (case, (evaluation, tried)) in enumerate(zip(found, self._tries, strict=False)):
            if case != (wanted := _case(self.run, evaluation, tried)):
                wrong.append((f"embedded sample {number}", json.dumps(case), json.dumps(wanted)))
        starts = [sum(map(len, blocks[:number])) for number in range(len(blocks))]
        for key, value in {**_index(self.run, self.evaluations, self._tries), "blocks": starts}.items():
            if index.get(key) != value:
                wrong.append((f"embedded {key}", json.dumps(index.get(key)), json.dumps(value)))
        return wrong


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _rows(run: Run, evaluation: Evaluation, tried: Try) -> Iterator[Row]:
    place = [evaluation.decoding, str(tried.sample), tried.query.id]
    yield [*place, "", "query", "0", tried.query.fields, "", "", "", "", "", ""]
    for arm in run.arms():
        episode = tried.episodes.get(arm)
        if not episode:
            continue
        said = [("first", 0, episode["first"])]
        for number, each in enumerate(retried(episode), 1):
            said += [("reflection", number, each["reflection"]), ("retry", number, each["retry"])]
        for step, number, made in said:
            if made:
                yield [*place, arm, step, str(number), *_cells(made)]


def _cells(made: Json) -> Row:
    verdict = made.get("verdict", {})
    cells = [
        *(made["completion"], made["tokens"], made.get("prompt_tokens"), made["finish_reason"] == "length"),
        *(verdict.get("passed"), verdict.get("kind"), verdict.get("detail")),
    ]
    return [_cell(cell) for cell in cells]


def _cell(cell: object) -> str:
    return "" if cell is None else str(cell).lower() if isinstance(cell, bool) else str(cell)


def _case(run: Run, evaluation: Evaluation, tried: Try) -> Json:
    return {
        "id": tried.query.id,
        "sample": tried.sample,
        "decoding": evaluation.decoding,
        "fields": tried.query.fields,
        "episodes": {arm: tried.episodes[arm] for arm in run.arms() if arm in tried.episodes},
    }


def _index(run: Run, evaluations: Sequence[Evaluation], cases: Sequence[tuple[Evaluation, Try]]) -> Json:
    tries = [tried for _, tried in cases]
    kinds = sorted({kind for tried in tries for episode in tried.episodes.values() for kind in _kinds(episode)})
    first = evaluations[0]
    return {
        "kinds": kinds,
        "columns": {
            "decoding": [run.eval["modes"].index(each.decoding) for each, _ in cases],
            "id": [tried.query.id for tried in tries],
            "sample": [tried.sample for tried in tries],
            "title": [_shortened(title(tried.query.fields)) for tried in tries],
            "changes": [[end for each in evaluations for end in each.ends(compared)] for compared in first.comparisons],
            "arms": [_arm([tried.episodes.get(arm) for tried in tries], kinds) for arm in run.arms()],
        },
    }


def _kinds(episode: Json) -> Iterator[str]:
    for answer in (episode["first"], *(each["retry"] for each in retried(episode))):
        if answer:
            yield answer["verdict"]["kind"]


def _arm(episodes: Sequence[Json | None], kinds: Sequence[str]) -> Json:
    def kind(answer: Json | None) -> int:
        return kinds.index(answer["verdict"]["kind"]) if answer else -1

    parts = [_parts(episode) for episode in episodes]
    return {
        "first": [kind(episode["first"] if episode else None) for episode in episodes],
        "last": [kind(last_answer(episode)) for episode in episodes],
        "tokens": {name: [sum(made["tokens"] for made in each[name]) for each in parts] for name in _PARTS},
        "cut": [
            sum(2**bit for bit, name in enumerate(_PARTS) if any(m["finish_reason"] == "length" for m in each[name]))
            for each in parts
        ],
    }


def _parts(episode: Json | None) -> dict[str, list[Any]]:
    if not episode:
        return {name: [] for name in _PARTS}
    rounds = retried(episode)
    return {
        "first": [episode["first"]] if episode["first"] else [],
        "reflection": [each["reflection"] for each in rounds if each["reflection"]],
        "retry": [each["retry"] for each in rounds],
    }


def _shortened(text: str) -> str:
    # Of 90 letters as JavaScript counts them.
    units = text.encode("utf-16-le", "surrogatepass")
    return text if len(units) <= 180 else units[:178].decode("utf-16-le", "surrogatepass") + "…"
