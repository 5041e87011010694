"""Numbers as the report writes them.

A number comes as its possible spellings, the recounted one first: where rounding is a close call, the last digit of the
computation decides, and both neighbours are right.
"""

import math
import re
from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_UP, Decimal

Spelled = tuple[str, ...]
#: Text with the numbers in it.
Parts = Sequence[str | Spelled]

#: Digits that follow a letter are part of a name, such as gsm8k.
NUMBER = re.compile("(?<![\\w.])[<+\N{MINUS SIGN}-]?" + r"(?:\d+(?:[.,]\d+)*(?:e[+-]\d+)?|NaN|Infinity)")
_CLOSE = 1e-9


def matches(parts: Parts, text: str) -> bool:
    if text == shown(parts):
        return True
    pattern = "".join(
        re.escape(part) if isinstance(part, str) else f"(?:{'|'.join(map(re.escape, part))})" for part in parts
    )
    return re.fullmatch(pattern, text, re.DOTALL) is not None


def shown(parts: Parts) -> str:
    return "".join(part if isinstance(part, str) else part[0] for part in parts)


def percent(rate: float, *, exact: bool = False) -> Spelled:
    """``exact``: the report has the same number to the last bit, such as k / n."""
    return _spell(rate, _percent, exact)


def points(difference: float, *, exact: bool = False) -> Spelled:
    if difference == 0:
        return ("+0.0",)
    return _spell(difference, lambda value: ("" if value < 0 else "+") + _percent(value), exact)


def interval(ends: tuple[float, float]) -> Parts:
    return [percent(ends[0]), " to ", percent(ends[1])]


def share(k: int, n: int) -> Parts:
    return ["none"] if n == 0 else [percent(k / n, exact=True), " % (", (str(k),), "/", (str(n),), ")"]


def in_hundred(rate: float, *, exact: bool) -> Spelled:
    return _spell(rate, lambda value: str(math.floor(100 * value + 0.5)), exact)


def tenth(value: float) -> Spelled:
    return (fixed(value, 1),)


def p_value(p: float, *, off: float = 1e-7) -> Spelled:
    return _spellings([p, p * (1 - off), min(1, p * (1 + off))], _p_value)


def duration(seconds: float) -> str:
    if float(fixed(seconds, 1)) < 60:
        return f"{fixed(seconds, 1)} s"
    whole = math.floor(seconds + 0.5)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = math.floor(seconds / 60 + 0.5)
    return f"{minutes // 60} h {minutes % 60} min"


def compact(value: float) -> str:
    """Three digits, then as JavaScript writes a number."""
    if value == 0:
        return "0"
    exact = Decimal(value)
    return plain(float(exact.quantize(Decimal(1).scaleb(exact.adjusted() - 2), ROUND_HALF_UP)))


def plain(value: float) -> str:
    """As JavaScript writes a number."""
    digits = Decimal(repr(float(value))).normalize()
    if value == 0 or 1e-6 <= abs(value) < 1e21:
        return f"{digits:f}"
    mantissa, exponent = f"{digits:e}".split("e")
    return f"{mantissa}e{int(exponent):+d}"


def fixed(value: float, digits: int) -> str:
    return str(Decimal(value + 0.0).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))


def _percent(rate: float) -> str:
    return fixed(100 * rate, 1).replace("-", "\N{MINUS SIGN}")


def _p_value(p: float) -> str:
    if p < 1e-300:
        return "<1e-300"
    if p >= 1e-4:
        return fixed(p, 4)
    mantissa, exponent = f"{p:.1e}".split("e")
    return f"{mantissa}e{int(exponent):+d}"


def _spell(value: float, spell: Callable[[float], str], exact: bool) -> Spelled:
    slack = 0.0 if exact else _CLOSE * (abs(value) + 1e-3)
    return _spellings([value, value - slack, value + slack], spell)


def _spellings(values: Sequence[float], spell: Callable[[float], str]) -> Spelled:
    return tuple(dict.fromkeys(map(spell, values)))
