"""JSON from a model, read strictly and within bounds: the only decoder that verifiers use on model output.

Stricter than ``json.loads``, because a verdict must not depend on what a lenient reader makes of the text:

* NaN, Infinity, duplicate keys and bad UTF escapes are errors; so is a text over ``MAX_CHARS``, a nesting over
  ``MAX_DEPTH`` or a number over ``MAX_NUMBER_CHARS`` or ``MAX_EXPONENT``. Work is linear in the text's length.
* Numbers keep their exact value: integers are ``int``, all others ``Decimal``. 5 equals 5.0, 1e400 isn't infinite,
  and 9007199254740993.0 isn't its neighbour.
* Strings are compared code point by code point; a lone surrogate (``"\\ud800"``) is legal JSON and equals only itself.
"""

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any

from rrr_workers.text import clip

MAX_CHARS = 65_536
MAX_DEPTH = 64
MAX_NUMBER_CHARS = 400
MAX_EXPONENT = 999_999

_TOO_DEEP = f"nested deeper than {MAX_DEPTH}"
_OUT_OF_RANGE = "a number out of range"
_WHITESPACE = re.compile(r"[ \t\n\r]*")


class JsonError(ValueError):
    """The text isn't JSON, or is over a bound. The message is short and may be shown."""


def decode(text: str) -> Any:
    """The one JSON value that ``text`` holds, whitespace around it allowed. Raises :class:`JsonError`."""
    value, end = decode_at(text, 0)
    if end != len(text):
        raise JsonError(f"text after the JSON value, at character {end}")
    return value


def decode_at(text: str, start: int) -> tuple[Any, int]:
    """The JSON value at ``start`` (after whitespace) and the index behind it and its trailing whitespace."""
    if len(text) > MAX_CHARS:
        raise JsonError(f"longer than {MAX_CHARS} characters")
    try:
        value, end = _DECODER.raw_decode(text, _skip_whitespace(text, start))
    except json.JSONDecodeError as error:
        raise JsonError(f"{error.msg} at character {error.pos}") from None
    except RecursionError:
        raise JsonError(_TOO_DEEP) from None
    if text.count("[", start, end) + text.count("{", start, end) > MAX_DEPTH:
        _check_depth(value, MAX_DEPTH)
    return value, _skip_whitespace(text, end)


def freeze(value: Any) -> Any:
    """A hashable form of a decoded value: two values are equal for a verdict exactly when their forms are equal."""
    kind = type(value)
    if kind is str or kind is int or kind is Decimal or value is None:
        return value
    if kind is bool:  # True == 1 in Python, but true isn't 1
        return ("bool", value)
    if kind is list:
        return ("list", *map(freeze, value))
    return ("object", frozenset([(key, freeze(item)) for key, item in value.items()]))


def show(value: Any, limit: int = 80) -> str:
    """A decoded value as short ASCII JSON, for messages."""
    return clip(json.dumps(_displayable(value)), limit)


def _displayable(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 200:
        return float("inf")
    if isinstance(value, list):
        return [_displayable(item) for item in value]
    if isinstance(value, dict):
        return {key: _displayable(item) for key, item in value.items()}
    return value


def _check_depth(value: Any, left: int) -> None:
    if isinstance(value, list | dict):
        if left == 0:
            raise JsonError(_TOO_DEEP)
        for item in value.values() if isinstance(value, dict) else value:
            _check_depth(item, left - 1)


def _skip_whitespace(text: str, start: int) -> int:
    return _WHITESPACE.match(text, start).end()  # type: ignore[union-attr]  # matches the empty string


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise JsonError("an object with the same key twice")
    return found


def _integer(literal: str) -> int:
    if len(literal) > MAX_NUMBER_CHARS:
        raise JsonError(f"a number of more than {MAX_NUMBER_CHARS} characters")
    return int(literal)


def _decimal(literal: str) -> Decimal:
    if len(literal) > MAX_NUMBER_CHARS:
        raise JsonError(f"a number of more than {MAX_NUMBER_CHARS} characters")
    try:
        number = Decimal(literal)
    except InvalidOperation:  # beyond what Decimal itself holds
        raise JsonError(_OUT_OF_RANGE) from None
    if abs(number.adjusted()) > MAX_EXPONENT:
        raise JsonError(_OUT_OF_RANGE)
    return number


def _no_constant(name: str) -> Any:
    raise JsonError(f"{name} isn't JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_keys, parse_int=_integer, parse_float=_decimal, parse_constant=_no_constant
)
