"""The other notations of an answer that ``notation: lenient`` reads, turned into that of :mod:`expression`.

Around the whole answer, or around one side of its ``=``: ``$...$``, ``$$...$$``, ``\\(...\\)``, ``\\[...\\]``,
``\\boxed{...}``, ``**...**``, ``__...__``, and one full stop at the end. In the expression: ``\\times``, ``\\cdot``, x
and the signs like it for ``*``; ``\\div`` and the signs like it for ``/``; the long minus signs; ``\\frac{a}{b}``;
``\\left`` and ``\\right``; LaTeX's spaces; a sign before a number or a parenthesis. Nothing else: no decimals, no
powers, and no product without a sign.
"""

import re

from rrr_workers.tasks.countdown.expression import MAX_LENGTH, NotAnExpression, Postfix, to_postfix

_TOKEN = re.compile(r"[0-9]+|\\[A-Za-z]+|\\.|\S", re.ASCII)
SIGNS = {
    **dict.fromkeys(("\\times", "\\cdot", "\\ast", "x", "X"), "*"),
    **dict.fromkeys("\u00d7\u00b7\u2219\u22c5\u2217\u2715\u2716\u2a2f\uff0a", "*"),
    **dict.fromkeys(("\\div", *"\u00f7\u2044\u2215\uff0f"), "/"),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d", "-"),
    "\uff0b": "+",
}
_FRACTIONS = frozenset(("\\frac", "\\dfrac", "\\tfrac"))
_SILENT = frozenset(("\\left", "\\right", "\\quad", "\\,", "\\;", "\\:", "\\!", "\\ ", "\ufe0e", "\ufe0f"))
_AROUND = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("**", "**"), ("__", "__"))
_BOX = re.compile(r"\\boxed\s*\{")
_SPACES = " \t\r\n"


def unwrap(text: str) -> str:
    """``text`` without what may stand around it; text too long for an answer stays as it is."""
    while len(text) <= MAX_LENGTH:  # what follows may take a time that is quadratic in it
        text = text.strip(_SPACES)
        bare = text.removesuffix(".").rstrip(_SPACES)
        inner = _inside(bare)
        if inner is None:
            return bare
        text = inner
    return text


def parse_lenient(text: str) -> Postfix:
    """``text`` in postfix order, as :func:`expression.parse` gives it. Raises :class:`NotAnExpression`."""
    if len(text) > MAX_LENGTH:
        raise NotAnExpression(f"longer than {MAX_LENGTH} characters")
    return to_postfix(_plain_tokens(text), signed=True)


def _inside(text: str) -> str | None:
    """What the marks around ``text`` hold, None where none are around all of it."""
    for opening, closing in _AROUND:
        if text.startswith(opening) and text.endswith(closing) and len(text) >= len(opening) + len(closing):
            inner = text[len(opening) : -len(closing)]
            # In "$1$ + $2$" the marks at both ends are no pair.
            return None if opening in inner or closing in inner else inner
    box = _BOX.match(text)
    if box and text.endswith("}"):
        depth = 1
        for index in range(box.end(), len(text)):
            depth += {"{": 1, "}": -1}.get(text[index], 0)
            if depth == 0:
                return text[box.end() : index] if index == len(text) - 1 else None
    return None


def _plain_tokens(text: str) -> list[str]:
    """The tokens of ``text`` in plain notation; ``\\frac{a}{b}`` becomes ``((a)/(b))``."""
    tokens: list[str] = []
    fences: list[str] = []  # "(", or the part of a fraction that is being read
    brace_next = False
    for token in _TOKEN.findall(text):
        if token in _SILENT:
            continue
        if brace_next != (token == "{"):
            raise NotAnExpression(f"a '{{' should stand where {token!r} is" if brace_next else "a '{' too many")
        brace_next = False
        if token in _FRACTIONS:
            fences.append("numerator")
            tokens += "(("
            brace_next = True
        elif token == "}":
            if not fences or fences[-1] == "(":
                raise NotAnExpression("a '}' too many")
            if fences.pop() == "numerator":
                fences.append("denominator")
                tokens += ")/("
                brace_next = True
            else:
                tokens += "))"
        elif token != "{":
            if token == "(":
                fences.append(token)
            elif token == ")" and (not fences or fences.pop() != "("):
                raise NotAnExpression("a ')' too many")
            tokens.append(SIGNS.get(token, token))
    if fences or brace_next:
        raise NotAnExpression("a '(' or a fraction is not closed")
    return tokens
