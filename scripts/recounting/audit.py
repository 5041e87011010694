"""Holds a report against what is recounted: every number of it, where it stands."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import unescape

from .charts import differences
from .documents import Block
from .expected import Expected, Key, Sentence, Table
from .run import Json
from .spelling import NUMBER, Parts, Spelled, matches, shown

#: Tables that are known by the first cell of their head, wherever they stand.
_BY_HEAD = ("reflections", "data", "training", "run", "the paper", "benchmark")
#: Captions of the main table, and of one that is empty.
_MAIN = "Before and after training"
_LIST = "Samples that were found"
_DECODINGS = {"Sampled decoding": "sampled", "Greedy decoding": "greedy"}


@dataclass
class Wrong:
    place: str
    in_report: str
    recounted: str


@dataclass
class Audit:
    """Of one file. Every block is held against something; what is left over at the end is missing."""

    expected: Expected
    file: str
    numbers: int = 0
    wrong: list[Wrong] = field(default_factory=list)
    _met: set[str] = field(default_factory=set)
    _examples: list[list[str]] = field(default_factory=list)

    def read(self, blocks: Sequence[Block]) -> None:
        for block in blocks:
            getattr(self, f"_{block.kind}")(block)
            self.numbers += sum(len(NUMBER.findall(text)) for text in _texts(block))
        self._all_examples()
        for missing in sorted(self._due(blocks) - self._met):
            self._is_wrong(missing, "nothing", "a place of its own")

    def read_csv(self, text: str) -> None:
        assert self.expected.samples
        self.numbers += len(NUMBER.findall(text))
        for difference in self.expected.samples.wrong_in_csv(text):
            self._is_wrong(*difference)

    def read_embedded(self, html: str) -> None:
        assert self.expected.samples
        for difference in self.expected.samples.wrong_in_page(html):
            self._is_wrong(*difference)

    def _is_wrong(self, place: str, in_report: str, recounted: str) -> None:
        self.wrong.append(Wrong(f"{self.file}, {place}", in_report, recounted))

    def _meet(self, place: str) -> None:
        if place in self._met:
            self._is_wrong(place, "twice", "once")
        self._met.add(place)

    def _due(self, blocks: Sequence[Block]) -> set[str]:
        due = {_place(key) for key in self.expected.tables}
        due |= {sentence.start for sentence in (*self.expected.sentences, *self.expected.notes)}
        if any(block.kind == "name" for block in blocks):
            due |= {f"card {_place(key)}" for key in self.expected.cards} | {"the configuration"}
            due |= {chart.caption for chart in self.expected.charts}
        return due

    def _same(self, place: str, text: str, parts: Parts) -> None:
        if not matches(parts, text):
            self._is_wrong(place, text, shown(parts))

    def _title(self, block: Block) -> None:
        # Markdown has it on one line.
        name = self.expected.run.config["task"]["name"]
        self._same("title", block.texts[0], [_one_line(name) if self.file.endswith(".md") else name])

    def _name(self, block: Block) -> None:
        self._same("name of the page", block.texts[0], [f"rrr: {self.expected.run.config['task']['name']}"])

    def _model(self, block: Block) -> None:
        self._same("model", block.texts[0], [self.expected.run.config["model"]["name"]])

    def _item(self, block: Block) -> None:
        self._sentence(block.texts[0], self.expected.sentences)

    def _heading(self, block: Block) -> None:
        self._no_number(block.texts[0])

    def _label(self, block: Block) -> None:
        charts = [chart.caption for chart in self.expected.charts]
        if block.texts[0] not in charts:
            self._no_number(block.texts[0])

    def _text(self, block: Block) -> None:
        text = block.texts[0]
        if block.section in ("Examples", "Reflections before and after") and self._of_example(text):
            return
        self._sentence(text, self.expected.notes)

    def _sentence(self, text: str, known: Sequence[Sentence]) -> None:
        for sentence in known:
            if text.startswith(sentence.start):
                self._meet(sentence.start)
                found = NUMBER.findall(text)
                if not any(words in text and _read(found, numbers) for numbers, words in sentence.readings):
                    numbers, words = sentence.readings[0]
                    self._is_wrong(sentence.start, text, " ".join([*(each[0] for each in numbers), words]))
                return
        self._no_number(text)

    def _no_number(self, text: str) -> None:
        if NUMBER.search(text):
            self._is_wrong("a text that is not known", text, "no number")

    def _option(self, block: Block) -> None:
        if block.texts[0] not in self.expected.options:
            self._no_number(block.texts[0])

    def _bar(self, block: Block) -> None:
        style, text = block.texts
        self._same(f"the bar of {text}", style, [f"width:{text.split(' ')[0]}%"])

    def _table(self, block: Block) -> None:
        head = block.rows[0]
        title = head[0] if head[0] in _BY_HEAD else "" if block.heading == _MAIN else block.heading
        if title == _LIST and len(block.rows) == 1:
            return  # The page's script fills it.
        decoding = _DECODINGS.get(block.section) if title == "reflections" or title not in _BY_HEAD else None
        table = self.expected.tables.get((decoding, title))
        if table is None:
            self._is_wrong(f"table {title}", "a table", "none")
            return
        self._meet(_place((decoding, title)))
        self._rows(_place((decoding, title)), block.rows, table)

    def _rows(self, place: str, rows: Sequence[Sequence[str]], table: Table) -> None:
        self._row(f"{place}, head", rows[0], [[cell] for cell in table.head])
        due = {shown(row[0]): row for row in table.rows}
        for row in rows[1:]:
            if row[0] in due:
                self._row(f"{place}, {row[0]}", row, due.pop(row[0]))
            else:
                self._is_wrong(place, " | ".join(row), "no such row")
        for label in due:
            self._is_wrong(place, "nothing", f"a row {label}")

    def _row(self, place: str, row: Sequence[str], expected: Sequence[Parts]) -> None:
        if len(row) != len(expected):
            self._is_wrong(place, f"{len(row)} cells", f"{len(expected)}")
        for number, (cell, parts) in enumerate(zip(row, expected, strict=False)):
            self._same(f"{place}, cell {number + 1}", cell, self._as_told(parts))

    def _as_told(self, parts: Parts) -> Parts:
        """A cell of Markdown is one line."""
        if not self.file.endswith(".md"):
            return parts
        return [_one_line(part) if isinstance(part, str) else part for part in parts]

    def _card(self, block: Block) -> None:
        key = None, block.texts[0]
        lines = self.expected.cards.get(key)
        self._meet(f"card {_place(key)}")
        self._row(f"card {_place(key)}", block.texts, lines or [])

    def _chart(self, block: Block) -> None:
        caption = block.texts[0]
        chart = next((chart for chart in self.expected.charts if chart.caption == caption), None)
        if chart is None:
            self._is_wrong(f"chart {caption}", "a chart", "none")
            return
        self._meet(caption)
        for difference in differences(chart, block.svg):
            self._is_wrong(f"chart {caption}", difference, "what is recounted")

    def _config(self, block: Block) -> None:
        self._meet("the configuration")
        try:
            shown_config: Json = json.loads(block.texts[0])
        except json.JSONDecodeError as error:
            self._is_wrong("configuration", f"not JSON: {error}", "what eval/config.json has")
            return
        for key in sorted(_differ("", shown_config, self.expected.run.config)):
            self._is_wrong("configuration", key, "what eval/config.json has")

    def _example(self, block: Block) -> None:
        self._examples.append([block.texts[0]])

    def _pre(self, block: Block) -> None:
        if block.section == "Run":
            self._same("command", block.texts[0], [self.expected.command])
        elif self._examples:
            self._examples[-1].append(block.texts[0])
        else:
            self._is_wrong("a block of text", block.texts[0], "none before the examples")

    def _of_example(self, text: str) -> bool:
        """Whether it is a heading of an example; its verdict is kept, "" where it has none."""
        for start in (
            "First try of the base model ",
            "First try ",
            "Reflection ",
            "Second try before ",
            "Second try after ",
        ):
            if self._examples and text.startswith(start):
                kind = text.removeprefix(start).removesuffix(":")
                # In Markdown within parentheses, on the page behind a mark.
                kind = kind[1:-1] if self.file.endswith(".md") else re.sub("^[✓✗] ", "", kind)
                self._examples[-1].append("" if start == "Reflection " else kind)
                return True
        return False

    def _all_examples(self) -> None:
        expected = [
            [_one_line(texts[0]) if self.file.endswith(".md") else texts[0], *texts[1:]]
            for texts in self.expected.examples
        ]
        if len(self._examples) != len(expected):
            self._is_wrong("examples", f"{len(self._examples)}", f"{len(expected)}")
        for number, (found, texts) in enumerate(zip(self._examples, expected, strict=False)):
            if found != texts:
                self._is_wrong(f"example {number + 1}", repr(found), repr(texts))


def _texts(block: Block) -> Iterator[str]:
    yield from block.texts
    for row in block.rows:
        yield from row
    for text in re.findall(r">([^<]+)</text>", block.svg):
        yield unescape(text)


def _place(key: Key) -> str:
    decoding, title = key
    return f"table {title or 'of the comparisons'}" + (f", {decoding}" if decoding else "")


def _read(found: Sequence[str], expected: Sequence[Spelled]) -> bool:
    return len(found) == len(expected) and all(
        number in spelled for number, spelled in zip(found, expected, strict=True)
    )


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def _differ(place: str, one: object, other: object) -> Iterator[str]:
    """The keys where two JSON values differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in one.keys() | other.keys():
            yield from _differ(f"{place}.{key}", one.get(key), other.get(key))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, pair in enumerate(zip(one, other, strict=True)):
            yield from _differ(f"{place}.{index}", *pair)
    elif one != other or isinstance(one, bool) != isinstance(other, bool):
        yield f"{place.removeprefix('.')}: {one!r}"
