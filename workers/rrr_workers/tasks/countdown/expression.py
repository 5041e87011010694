"""Arithmetic as a model writes it: parsed by hand, evaluated exactly, never run as code.

Grammar: whole numbers in ASCII digits without leading zeros, ``+ - * /`` between two operands, parentheses, ASCII
spaces and line breaks. No sign before a number, no ``**``, ``//``, decimals, letters or Unicode signs. Time is linear
in the text, whose length is bounded, and nothing recurses, so hostile text gets a fast verdict.
"""

import math
import re
from collections.abc import Sequence

MAX_LENGTH = 512  # characters; the longest sensible answer to ten numbers has about 60

_TOKEN = re.compile(r"[0-9]+|\S", re.ASCII)
NEGATE = "negate"  # the minus of one operand, in postfix order
_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, NEGATE: 3}

Postfix = list[int | str]


class NotAnExpression(ValueError):
    """The text is outside the grammar; the message says where."""


def parse(text: str) -> Postfix:
    """``text`` in postfix order: numbers as int, operators as text. Raises :class:`NotAnExpression`."""
    if len(text) > MAX_LENGTH:
        raise NotAnExpression(f"longer than {MAX_LENGTH} characters")
    return to_postfix(_TOKEN.findall(text))


def to_postfix(tokens: Sequence[str], *, signed: bool = False) -> Postfix:
    """``tokens`` in postfix order. ``signed``: any number of signs may stand before an operand, minus as NEGATE."""
    postfix: Postfix = []
    operators: list[str] = []  # waiting for their right operand; "(" is a fence
    operand_next = True
    for token in tokens:
        precedence = _PRECEDENCE.get(token)
        if operand_next:
            if token == "(":
                operators.append(token)
            elif "0" <= token[0] <= "9" and (token[0] != "0" or token == "0"):
                postfix.append(int(token))
                operand_next = False
            elif signed and token == "-":
                operators.append(NEGATE)
            elif not (signed and token == "+"):
                raise NotAnExpression(f"a number or '(' should stand where {token!r} is")
        elif precedence:
            while operators and _PRECEDENCE.get(operators[-1], 0) >= precedence:
                postfix.append(operators.pop())
            operators.append(token)
            operand_next = True
        elif token == ")":
            while operators and operators[-1] != "(":
                postfix.append(operators.pop())
            if not operators:
                raise NotAnExpression("a ')' too many")
            operators.pop()
        else:
            raise NotAnExpression(f"an operator should stand where {token!r} is")
    if operand_next:
        raise NotAnExpression("it ends where a number should follow" if postfix or operators else "it is empty")
    while operators:
        postfix.append(operators.pop())
        if postfix[-1] == "(":
            raise NotAnExpression("a '(' is not closed")
    return postfix


def evaluate(postfix: Postfix) -> tuple[int, int] | None:
    """The exact value as (numerator, denominator > 0) in lowest terms; None where it divides by zero."""
    stack: list[tuple[int, int]] = []
    for item in postfix:
        if isinstance(item, int):
            stack.append((item, 1))
            continue
        b, b_den = stack.pop()
        if item is NEGATE:
            stack.append((-b, b_den))
            continue
        a, a_den = stack.pop()
        if item == "+":
            stack.append((a * b_den + b * a_den, a_den * b_den))
        elif item == "-":
            stack.append((a * b_den - b * a_den, a_den * b_den))
        elif item == "*":
            stack.append((a * b, a_den * b_den))
        elif b == 0:
            return None
        else:
            stack.append((a * b_den, a_den * b))
    ((numerator, denominator),) = stack
    divisor = math.gcd(numerator, denominator) if denominator > 0 else -math.gcd(numerator, denominator)
    return numerator // divisor, denominator // divisor
