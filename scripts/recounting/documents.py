"""report.md and report.html, read as the same blocks."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class Block:
    """kind: title, name (of the page), heading, example, item, text, model, pre, config, card, table, chart, option,
    bar (of a cell).
    """

    kind: str
    #: The headings that it stands under.
    section: str
    heading: str
    texts: list[str]
    rows: list[list[str]] = field(default_factory=list)
    svg: str = ""


class _Blocks:
    def __init__(self) -> None:
        self.found: list[Block] = []
        self.section = self.heading = ""

    def add(self, kind: str, *texts: str, rows: list[list[str]] | None = None, svg: str = "") -> None:
        self.found.append(Block(kind, self.section, self.heading, list(texts), rows or [], svg))

    def enter(self, section: str) -> None:
        self.section, self.heading = section, ""
        self.add("heading", section)

    def title(self, heading: str) -> None:
        self.heading = heading
        self.add("heading", heading)


def read_markdown(text: str) -> list[Block]:
    blocks = _Blocks()
    lines = iter(text.split("\n"))
    for line in lines:
        if fence := re.fullmatch(r"(`{3,})text", line):
            blocks.add("pre", "\n".join(iter(lambda: next(lines), fence[1])))
        elif line.startswith("|"):
            _read_table(line, lines, blocks)
        elif found := re.fullmatch(r"(#{1,3}|-) (.*)", line):
            _read_marked(found[1], found[2], blocks)
        elif line:
            blocks.add("text", line)
    return blocks.found


def _read_marked(mark: str, text: str, blocks: _Blocks) -> None:
    if mark == "-":
        blocks.add("item", text)
    elif mark == "#":
        blocks.add("title", _unescape(text).removeprefix("Reflect, Retry, Reward: "))
    elif mark == "##":
        blocks.enter(text)
    elif blocks.section == "Examples":
        blocks.add("example", _unescape(text))
    else:
        blocks.title(text)


def _read_table(head: str, lines: Iterator[str], blocks: _Blocks) -> None:
    rows = [_cells(head)]
    next(lines)
    for line in iter(lambda: next(lines), ""):
        rows.append(_cells(line))
    blocks.add("table", rows=rows)


def _cells(line: str) -> list[str]:
    cells = re.split(r"(?<!\\)((?:\\\\)*)\|", line)[:-1]
    joined = ["".join(pair) for pair in zip(cells[0::2], [*cells[1::2], ""], strict=False)]
    return [_unescape(cell[1:-1]) for cell in joined[1:]]


def _unescape(text: str) -> str:
    return re.sub(r"\\([\\`*_<\[\]#|])", r"\1", text)


def read_html(text: str) -> list[Block]:
    reader = _Reader()
    # Charts are read on their own.
    for part in re.split(
        r"(<svg .*?</svg>)",
        re.sub(r"<(style|script).*?</\1>", "", text, flags=re.DOTALL),
        flags=re.DOTALL,
    ):
        if part.startswith("<svg "):
            reader.svg = part
        else:
            reader.feed(part)
    reader.close()
    return reader.blocks.found


class _Reader(HTMLParser):
    _LEAVES = (
        *("title", "h1", "h2", "h3", "h4", "p", "li", "th", "td", "pre", "figcaption", "summary", "footer"),
        *("caption", "option"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.blocks = _Blocks()
        self.svg = ""
        self._text: list[str] | None = None
        self._style = self._table = ""
        self._rows: list[list[str]] = []
        self._card: list[str] | None = None
        self._bar: str | None = None
        self._inside: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        style = dict(attributes).get("class") or ""
        for name, value in attributes:
            if name in ("aria-label", "label") and value:
                self.blocks.add("label", value)
        if tag in self._LEAVES:
            self._text, self._style = [], style
        elif tag == "span" and style == "bar":
            self._bar = dict(attributes).get("style") or ""
        elif tag == "table":
            self._table = style
        elif tag == "tr":
            self._rows.append([])
        elif tag == "div" and style.startswith("card "):
            self._card = []
        elif tag in ("article", "details"):
            self._inside.add(tag)

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)
        elif data.strip():
            self.blocks.add("text", data)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._LEAVES:
            self._end_of_text(tag, "".join(self._text or []))
            self._text = None
        elif tag == "table":
            # Without a head of its own, the caption is its head.
            rows = [[self.blocks.heading.lower(), ""], *self._rows] if self._table == "facts" else self._rows
            self.blocks.add("table", rows=rows)
            self._rows = []
        elif tag == "div" and self._card is not None:
            self.blocks.add("card", *self._card)
            self._card = None
        elif tag in ("article", "details"):
            self._inside.discard(tag)

    def _end_of_text(self, tag: str, text: str) -> None:
        if tag in ("th", "td"):
            self._rows[-1].append(text)
            if self._bar is not None:
                self.blocks.add("bar", self._bar, text)
                self._bar = None
        elif tag == "caption":
            self.blocks.title(text)
        elif tag == "option":
            self.blocks.add("option", text)
        elif tag == "h2":
            self.blocks.enter(text)
        elif tag == "h3" and "article" in self._inside:
            self.blocks.add("example", text)
        elif tag == "h3":
            self.blocks.title(text)
        elif tag == "p" and self._card is not None:
            self._card.append(text)
        elif tag == "figcaption":
            self.blocks.add("chart", text, svg=self.svg)
        elif tag == "pre" and "details" in self._inside:
            self.blocks.add("config", text)
        else:
            kinds = {"title": "name", "h1": "title", "li": "item", "pre": "pre"}
            self.blocks.add("model" if self._style == "models" else kinds.get(tag, "text"), text)
