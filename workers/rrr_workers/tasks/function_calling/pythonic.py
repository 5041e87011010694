"""Calls as a Python list: ``[get_weather(city="Oslo", days=2), maps.route(to='Bern')]``, read and never run.

A value is text, a number as in JSON, True, False, None (true, false and null as well), a list, a tuple (which is a
list) or an object with texts as keys. A name is whatever stands before its ``(`` or ``=``, so dots and other marks may
be in it. Each argument needs a name. Numbers and nesting have the bounds of :mod:`bounded_json`; time is linear in the
text, whose length is bounded.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from rrr_workers.tasks.bounded_json import MAX_DEPTH, JsonError, decode

MAX_CHARS = 16_384  # fewer than of JSON, which compiled code reads

T = TypeVar("T")

_SPACE = re.compile(r"[ \t\r\n]*")
_NAME = re.compile(r"""[^\s()\[\]{}'",=]([^()\[\]{}'",=\r\n]*[^\s()\[\]{}'",=])?""")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_STRING = re.compile(
    r'"""(?P<long>[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*)"""'
    r"|'''(?P<long_single>[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*)'''"
    r'|"(?P<short>[^"\\\r\n]*(?:\\.[^"\\\r\n]*)*)"'
    r"|'(?P<short_single>[^'\\\r\n]*(?:\\.[^'\\\r\n]*)*)'",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(\r?\n|[0-7]{1,3}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "\\": "\\", "'": "'", '"': '"'}
_WORDS = {"True": True, "False": False, "None": None, "true": True, "false": False, "null": None}


class PythonicError(ValueError):
    """The text isn't a list of calls, or is over a bound. The message is short and may be shown."""


def read_list(text: str, most: int) -> list[tuple[str, dict[str, Any]]]:
    """Up to ``most`` calls, each a (name, arguments), of a list that is all of ``text`` but for spaces around it."""
    if len(text) > MAX_CHARS:
        raise PythonicError(f"longer than {MAX_CHARS} characters")
    reader = _Reader(text)
    calls = reader.items("[", "]", reader.call, most)
    if reader.at != len(text):
        raise PythonicError(f"text behind the list, at character {reader.at}")
    return calls


def write_list(calls: Sequence[Mapping[str, Any]]) -> str:
    """``calls``, each with name and arguments of plain JSON, as a text that :func:`read_list` reads."""
    written = []
    for call in calls:
        arguments = ", ".join(f"{key}={value!r}" for key, value in call["arguments"].items())
        written.append(f"{call['name']}({arguments})")
    return f"[{', '.join(written)}]"


class _Reader:
    """Reads at ``at``, and moves on behind what it has read and the spaces that follow."""

    def __init__(self, text: str):
        self._text = text
        self._depth = 0
        self._comma_at_end = False  # of the items that were read last
        self._move_to(0)

    def call(self) -> tuple[str, dict[str, Any]]:
        name = self._name("(")
        return name, self._without_repeats(self.items("(", ")", self._argument))

    def items(self, opening: str, closing: str, read: Callable[[], T], most: int = MAX_CHARS) -> list[T]:
        """What ``read`` gives, as often as there are items; a comma may follow the last."""
        self._take(opening)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise PythonicError(f"nested deeper than {MAX_DEPTH}")
        found: list[T] = []
        comma = False
        while not self._is_next(closing):
            if len(found) == most:
                raise PythonicError(f"more than {most} calls")
            found.append(read())
            if comma := not self._is_next(closing):
                self._take(",")
        self._comma_at_end = comma
        self._take(closing)
        self._depth -= 1
        return found

    def _argument(self) -> tuple[str, Any]:
        name = self._name("=")
        self._take("=")
        return name, self._value()

    def _entry(self) -> tuple[str, Any]:
        key = self._string()
        self._take(":")
        return key, self._value()

    def _value(self) -> Any:
        following = self._text[self.at : self.at + 1]
        if following in ("'", '"'):
            return self._string()
        if following == "[":
            return self.items("[", "]", self._value)
        if following == "(":
            return self._tuple()
        if following == "{":
            return self._without_repeats(self.items("{", "}", self._entry))
        if number := _NUMBER.match(self._text, self.at):
            self._move_to(number.end())
            return self._number(number[0])
        word = _NAME.match(self._text, self.at)
        if word is None or word[0] not in _WORDS:
            raise self._error("a value")
        self._move_to(word.end())
        return _WORDS[word[0]]

    def _tuple(self) -> Any:
        """(1, 2) and (1,) are lists; (1) is 1, as in Python."""
        items = self.items("(", ")", self._value)
        return items if len(items) != 1 or self._comma_at_end else items[0]

    def _number(self, literal: str) -> Any:
        if len(literal) < 10 and literal.isdecimal() and literal[0] != "0":
            return int(literal)
        try:
            return decode(literal)
        except JsonError as error:
            raise PythonicError(str(error)) from None

    def _string(self) -> str:
        found = _STRING.match(self._text, self.at)
        if found is None:
            raise self._error("a text")
        self._move_to(found.end())
        text: str = found[found.lastgroup or 0]
        if found.lastgroup in ("long", "long_single"):
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        return _ESCAPE.sub(_unescape, text) if "\\" in text else text

    def _name(self, follows: str) -> str:
        found = _NAME.match(self._text, self.at)
        if found is None:
            raise self._error("a name")
        self._move_to(found.end())
        if not self._is_next(follows):
            raise self._error(repr(follows))
        return found[0]

    def _without_repeats(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise PythonicError("the same name twice")
        return found

    def _is_next(self, mark: str) -> bool:
        return self._text.startswith(mark, self.at)

    def _take(self, mark: str) -> None:
        if not self._is_next(mark):
            raise self._error(repr(mark))
        self._move_to(self.at + len(mark))

    def _move_to(self, index: int) -> None:
        self.at = _SPACE.match(self._text, index).end()  # type: ignore[union-attr]  # matches the empty string

    def _error(self, wanted: str) -> PythonicError:
        return PythonicError(f"{wanted} should stand at character {self.at}")


def _unescape(escape: re.Match[str]) -> str:
    code = escape[1]
    if code in _ESCAPED:
        return _ESCAPED[code]
    if code in ("\n", "\r\n"):
        return ""
    if code[0] in "01234567":
        return chr(int(code, 8))
    if len(code) > 1:
        point = int(code[1:], 16)
        if point > 0x10FFFF:
            raise PythonicError("an escape that names no character")
        return chr(point)
    if code in "xuUN":
        raise PythonicError("an incomplete escape")
    return escape[0]  # as Python does: an unknown escape stays as it is
