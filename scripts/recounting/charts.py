"""A chart against what it draws: its lines and bars are measured by the numbers on its axes."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from .expected import Bars, Chart
from .spelling import NUMBER, matches

#: Pixels: coordinates are rounded to a tenth.
_SLACK = 0.11
_POINT = re.compile(r"(-?[\d.]+) (-?[\d.]+)")


@dataclass
class _Axis:
    """Value and pixel of each number on it, in their order."""

    ticks: list[tuple[float, float]]

    def pixel(self, value: float) -> float:
        (first, at), (last, end) = self.ticks[0], self.ticks[-1]
        return at + (value - first) / (last - first) * (end - at)

    def is_even(self) -> bool:
        values = [value for value, _ in self.ticks]
        return values[0] != values[-1] and all(abs(self.pixel(value) - pixel) < _SLACK for value, pixel in self.ticks)


@dataclass
class _Text:
    text: str
    anchor: str
    x: float
    y: float


def differences(chart: Chart, svg: str) -> Iterator[str]:
    """What is wrong with it."""
    root = ElementTree.fromstring(svg)
    texts = [_text(element) for element in _all(root, "text")]
    up = _Axis([(_value(each), each.y) for each in texts if each.anchor == "end"])
    numbers = [each for each in texts if NUMBER.fullmatch(each.text) and each.anchor == "middle"]
    along = _Axis([(_value(each), each.x) for each in numbers])
    for axis in (up, along):
        if axis.ticks and not axis.is_even():
            yield f"an axis is not even: {axis.ticks}"
            return
    yield from _texts(chart, [each for each in texts if each.anchor != "end" and each not in numbers])
    if chart.bars:
        yield from _bars(chart.bars, root, up.pixel)
    else:
        yield from _lines(chart.lines, root, along.pixel, up.pixel)


def _texts(chart: Chart, texts: Sequence[_Text]) -> Iterator[str]:
    for each in texts:
        if NUMBER.search(each.text) and not any(matches(parts, each.text) for parts in chart.texts):
            yield f"not recounted: {each.text}"


def _bars(bars: Sequence[Bars], root: ElementTree.Element, pixel: Callable[[float], float]) -> Iterator[str]:
    drawn: dict[tuple[int, int], list[list[tuple[float, float]]]] = {}
    for path in _all(root, "path"):
        if path.get("ecmeta_ssr_type") == "chart":
            place = int(path.get("ecmeta_series_index", "")), int(path.get("ecmeta_data_index", ""))
            drawn.setdefault(place, []).append(_points(path))
    for index, (label, *sides) in enumerate(bars):
        for side, rate in enumerate(sides):
            tops = [points[0][1] for points in drawn.get((side, index), [])] or [pixel(0)]
            ends = [y for line in drawn.get((side + 2, index), []) if line[0][0] == line[1][0] for _, y in line]
            wanted = (
                [pixel(100 * value) for value in (rate.rate, *rate.interval)]
                if rate.interval
                else [pixel(100 * rate.rate)]
            )
            if not _close([*tops, *ends], wanted):
                yield f"the bar of {label}, {('before', 'after')[side]}: drawn at {[*tops, *ends]}, not {wanted}"


def _lines(
    lines: Sequence[Sequence[tuple[float, float]]],
    root: ElementTree.Element,
    across: Callable[[float], float],
    up: Callable[[float], float],
) -> Iterator[str]:
    groups = [path for group in _all(root, "g") for path in _all(group, "path")]
    if len(lines[0]) == 1:
        return
    if len(groups) != len(lines):
        yield f"{len(groups)} lines, not {len(lines)}"
        return
    for path, line in zip(groups, lines, strict=True):
        wanted = [(across(step), up(value)) for step, value in line]
        for point in _points(path):
            nearest = min(wanted, key=lambda other: abs(other[0] - point[0]))
            if not _close(point, nearest):
                yield f"a line passes {point}, not {nearest}"
                return


def _close(ones: Sequence[float], others: Sequence[float]) -> bool:
    return len(ones) == len(others) and all(abs(one - other) < _SLACK for one, other in zip(ones, others, strict=True))


def _points(path: ElementTree.Element) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in _POINT.findall(path.get("d", ""))]


def _text(element: ElementTree.Element) -> _Text:
    found = _POINT.search(element.get("transform", ""))
    x, y = (float(found[1]), float(found[2])) if found else (0.0, 0.0)
    return _Text(element.text or "", element.get("text-anchor", ""), x, y)


def _value(text: _Text) -> float:
    return float(text.text.replace(",", "").replace("\N{MINUS SIGN}", "-"))


def _all(root: ElementTree.Element, tag: str) -> Iterator[ElementTree.Element]:
    return root.iter(f"{{http://www.w3.org/2000/svg}}{tag}")
