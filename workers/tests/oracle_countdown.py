"""An independent judge of Countdown answers, and generated completions to try the real one with.

Written from the rules, sharing no code with rrr_workers: recursive descent over ``Fraction``, a hand-made search for
the answer's tags.
"""

# ruff: noqa: RUF001 - look-alike characters are part of the test

import random
from collections import Counter
from fractions import Fraction

from oracle_reasoning import without_reasoning

MAX_ANSWER = 512
SPACE = " \t\r\n\f\v"


class Bad(Exception):
    pass


class Zero(Exception):
    pass


class Expression:
    """expression = term {(+|-) term}; term = factor {(*|/) factor}; factor = number | ( expression )."""

    def __init__(self, text: str):
        self.text, self.at, self.used = text, 0, Counter[int]()
        self.zero = False

    def peek(self) -> str:
        while self.at < len(self.text) and self.text[self.at] in SPACE:
            self.at += 1
        return self.text[self.at : self.at + 1]

    def value(self) -> Fraction:
        value = self.sum()
        if self.peek():
            raise Bad
        return value

    def sum(self) -> Fraction:
        value = self.product()
        while (operator := self.peek()) and operator in "+-":
            self.at += 1
            other = self.product()
            value = value + other if operator == "+" else value - other
        return value

    def product(self) -> Fraction:
        value = self.factor()
        while (operator := self.peek()) and operator in "*/":
            self.at += 1
            other = self.factor()
            if operator == "*":
                value *= other
            elif other:
                value /= other
            else:
                self.zero = True  # read on: what follows may not be an expression at all
        return value

    def factor(self) -> Fraction:
        char = self.peek()
        if char == "(":
            self.at += 1
            value = self.sum()
            if self.peek() != ")":
                raise Bad
            self.at += 1
            return value
        start = self.at
        while self.text[self.at : self.at + 1] in tuple("0123456789"):
            self.at += 1
        digits = self.text[start : self.at]
        if not digits or (digits[0] == "0" and digits != "0"):
            raise Bad
        self.used[int(digits)] += 1
        return Fraction(int(digits))


def expected_kinds(case: "Case") -> set[str]:
    text = without_reasoning(case.completion)
    closing = text.rfind("</answer>")
    opening = text[: max(closing, 0)].rfind("<answer>")
    if opening < 0:
        return {"truncated" if case.finish_reason == "length" else "no_answer"}
    answer = text[opening + len("<answer>") : closing]
    if not answer.strip():
        return {"no_answer"}
    if "=" in answer:
        answer, right = answer.split("=", 1)
        if right.strip(" \t\r\n") != str(case.target):
            return {"not_expression"}
    if len(answer) > MAX_ANSWER:
        return {"not_expression"}
    expression = Expression(answer)
    try:
        value = expression.value()
    except (Bad, RecursionError):
        return {"not_expression"}
    if expression.used != Counter(case.nums):
        return {"wrong_numbers"}
    if not expression.zero and value == case.target:
        return {"passed"}
    return {"missed_target"}


HOSTILE = [
    "99**99**99", "**", "//", "(" * 10_000, ")" * 300, "(" * 300, "9" * 5_000, "9" * 400, "NaN", "1e3", "1.5",
    "٣", "５", "×", "÷", "−", "\ud800", "\x00", "\u2028", "\u00a0", "_", "=", "= 1 =", "-", "+",
    "__import__('os')", "<answer>", "</answer>", "0", "00", "007", "#", "lambda: 0", "1_0", "<answer></answer>",
    "if", '"', "<think>", "</think>", "\\frac{1}{2}", ",", ";",
]  # fmt: skip


class Case:
    """One problem, one completion; half of the targets are what the expression gives."""

    def __init__(self, rng: random.Random):
        self.nums = [rng.choice([1, 2, 3, 5, 7, 10, 44, 99]) for _ in range(rng.choice([1, 2, 3, 3, 4, 4]))]
        numbers = rng.sample(self.nums, len(self.nums))
        text = spell(rng, numbers)
        self.target = rng.randint(1, 100)
        if rng.random() < 0.7:
            try:
                value = Expression(text).value()
            except ZeroDivisionError:
                value = Fraction(1)
            if value.denominator == 1 and value > 0:
                self.target = int(value)
        self.completion = random_completion(rng, text, self.target)
        self.finish_reason = "length" if rng.random() < 0.1 else "stop"


def spell(rng: random.Random, numbers: list[int]) -> str:
    if len(numbers) == 1:
        return str(numbers[0]) if rng.random() < 0.9 else f"({numbers[0]})"
    cut = rng.randrange(1, len(numbers))
    blank = rng.choice(["", " ", "\n"])
    text = f"{spell(rng, numbers[:cut])}{blank}{rng.choice('+-*/')}{blank}{spell(rng, numbers[cut:])}"
    return f"({text})" if rng.random() < 0.6 else text


def random_completion(rng: random.Random, text: str, target: int) -> str:
    if rng.random() < 0.03:
        return "".join(rng.choice(HOSTILE) for _ in range(rng.randint(0, 4)))
    if rng.random() < 0.2:
        text += rng.choice([" = ", "="]) + str(rng.choice([target, target, target + 1]))
    for _ in range(rng.choice([0, 0, 0, 0, 1, 2])):
        at = rng.randrange(len(text) + 1)
        inserted = rng.choice([*HOSTILE, "", "", "1", " ", "(", ")", "*", "/"])
        text = text[:at] + inserted + text[at + rng.choice([0, 0, 1, 2]) :]
    before = rng.choice(
        ["", "<think>Let me see.</think>\n", "<think><answer>1</answer>", "<answer>1</answer>", "<answer>"]
    )
    text = f"{before}<answer>{text}</answer>" + rng.choice(["", "\n", " Done."])
    if rng.random() < 0.05:
        text = text[: rng.randrange(len(text) + 1)]
    return text
