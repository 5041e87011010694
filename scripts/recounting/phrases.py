"""What reflections have in common, counted phrase by phrase: every run of two to five words of every reflection."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_SPACE = "[\\t\\n\\v\\f\\r \\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000\\ufeff]+"
_TOLD = 8

#: A text, and whether the retry after it passed.
Reflection = tuple[str, bool]


@dataclass
class Phrase:
    text: str
    #: Reflections with it, and those of them that passed: before, after.
    counts: tuple[tuple[int, int], tuple[int, int]]


def phrases(before: Sequence[Reflection], after: Sequence[Reflection]) -> list[Phrase]:
    sides = (before, after)
    counted = {length: _count(sides, length) for length in range(2, 7)}
    found = [
        Phrase(text, counts)
        for length in range(2, 6)
        for text, counts in counted[length].items()
        if not any(_says_as_much(longer, counts) for longer in _longer(text, counted[length + 1]))
    ]

    def share(phrase: Phrase, side: int) -> float:
        return phrase.counts[side][0] / (len(sides[side]) or 1)

    def change(phrase: Phrase) -> float:
        return share(phrase, 1) - share(phrase, 0)

    def first(size: Callable[[Phrase], float]) -> list[Phrase]:
        return sorted(found, key=lambda each: (-size(each), _order(each)))[:_TOLD]

    most = first(lambda each: abs(change(each))) + first(lambda each: max(share(each, 0), share(each, 1)))
    told = {each.text: each for each in most}
    return sorted(told.values(), key=lambda each: (-change(each), _order(each)))


def _order(phrase: Phrase) -> bytes:
    return phrase.text.encode("utf-16-be", "surrogatepass")


Counts = tuple[tuple[int, int], tuple[int, int]]


def _count(sides: Sequence[Sequence[Reflection]], length: int) -> dict[str, Counts]:
    """Those that two hundredths of the reflections of a side have, and two at least."""
    seen: defaultdict[str, list[list[int]]] = defaultdict(lambda: [[0, 0], [0, 0]])
    for side, reflections in enumerate(sides):
        for text, passed in reflections:
            words = _words(text)
            for phrase in {" ".join(words[at : at + length]) for at in range(len(words) - length + 1)}:
                seen[phrase][side][0] += 1
                seen[phrase][side][1] += passed
    least = [max(2, -(-len(reflections) * 2 // 100)) for reflections in sides]
    return {
        phrase: ((one[0], one[1]), (other[0], other[1]))
        for phrase, (one, other) in seen.items()
        if one[0] >= least[0] or other[0] >= least[1]
    }


def _words(text: str) -> list[str]:
    return [word for part in re.split(_SPACE, text) if (word := _within_edges(part))]


def _within_edges(part: str) -> str:
    """From its first letter or digit to its last."""
    places = [at for at, each in enumerate(part) if unicodedata.category(each)[0] in "LN"]
    return part[places[0] : places[-1] + 1] if places else ""


def _longer(text: str, longer: dict[str, Counts]) -> list[Counts]:
    size = text.count(" ") + 1
    return [
        counts
        for other, counts in longer.items()
        if text in (" ".join(other.split(" ")[:size]), " ".join(other.split(" ")[1:]))
    ]


def _says_as_much(longer: Counts, counts: Counts) -> bool:
    return all(10 * longer[side][0] >= 9 * counts[side][0] for side in (0, 1))
