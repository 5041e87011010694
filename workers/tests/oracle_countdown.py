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


class Lenient(Expression):
    """As above, with the other signs, signs before a factor, and factor = \frac{ expression }{ expression }."""

    SIGNS = {  # noqa: RUF012 - read alone
        **dict.fromkeys(["\\times", "\\cdot", "\\ast", *"xX×·∙⋅∗✕✖⨯＊"], "*"),
        **dict.fromkeys(["\\div", *"÷⁄∕／"], "/"),
        **dict.fromkeys("‐‑‒–−﹣－", "-"),
        "＋": "+",
    }
    SILENT = ("\\left", "\\right", "\\quad", "\\,", "\\;", "\\:", "\\!", "\\ ", "\ufe0e", "\ufe0f")

    def sign(self) -> str:
        """The word or character that is next, and where it ends; spaces and silent words are stepped over."""
        while True:
            char = super().peek()
            end = self.at + 1
            if char == "\\":
                end += 1
                if self.text[self.at + 1 : end].isascii() and self.text[self.at + 1 : end].isalpha():
                    while self.text[end : end + 1].isascii() and self.text[end : end + 1].isalpha():
                        end += 1
            word = self.text[self.at : end]
            if word not in self.SILENT:
                return word
            self.at = end

    def peek(self) -> str:
        word = self.sign()
        return self.SIGNS.get(word, word)

    def take(self, wanted: str) -> None:
        if self.peek() != wanted:
            raise Bad
        self.at += len(self.sign())

    def sum(self) -> Fraction:
        value = self.product()
        while (operator := self.peek()) and operator in ("+", "-"):
            self.take(operator)
            other = self.product()
            value = value + other if operator == "+" else value - other
        return value

    def product(self) -> Fraction:
        value = self.factor()
        while (operator := self.peek()) and operator in ("*", "/"):
            self.take(operator)
            value = self.combine(value, operator, self.factor())
        return value

    def combine(self, value: Fraction, operator: str, other: Fraction) -> Fraction:
        if operator == "*":
            return value * other
        if other:
            return value / other
        self.zero = True
        return value

    def factor(self) -> Fraction:
        word = self.peek()
        if word in ("+", "-"):
            self.take(word)
            value = self.factor()
            return -value if word == "-" else value
        if word == "(":
            self.take("(")
            value = self.sum()
            self.take(")")
            return value
        if word in ("\\frac", "\\dfrac", "\\tfrac"):
            self.take(word)
            parts = []
            for _ in range(2):
                self.take("{")
                parts.append(self.sum())
                self.take("}")
            return self.combine(parts[0], "/", parts[1])
        return super().factor()


PAIRS = [("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("**", "**"), ("__", "__")]


def bare(text: str) -> str:
    """Without the pairs around it, a full stop behind each."""
    if len(text) > MAX_ANSWER:
        return text
    text = text.strip(" \t\r\n")
    if text[-1:] == ".":
        text = text[:-1].rstrip(" \t\r\n")
    for left, right in PAIRS:
        if len(text) >= len(left + right) and text[: len(left)] == left and text[-len(right) :] == right:
            inner = text[len(left) : len(text) - len(right)]
            return text if left in inner or right in inner else bare(inner)
    if text.startswith("\\boxed"):
        start = len("\\boxed")
        while text[start : start + 1].isspace():
            start += 1
        if text[start : start + 1] == "{" and closing_brace(text, start) == len(text) - 1:
            return bare(text[start + 1 : -1])
    return text


def closing_brace(text: str, start: int) -> int:
    """Where the brace at ``start`` is closed, -1 where it isn't."""
    depth = 0
    for at in range(start, len(text)):
        if text[at] == "{":
            depth += 1
        elif text[at] == "}":
            depth -= 1
            if depth == 0:
                return at
    return -1


def is_mention(answer: str) -> bool:
    others = [at for at, char in enumerate(answer) if char not in " \t\r\n.,…`'\"/&"]
    return not others or answer[others[0] : others[-1] + 1] in ("and", "or", "to")


def tagged(text: str) -> list[str]:
    """What each complete pair of tags holds."""
    found, start, at = [], -1, 0
    while at < len(text):
        if text.startswith("<answer>", at):
            at = start = at + len("<answer>")
        elif text.startswith("</answer>", at):
            if start >= 0:
                found.append(text[start:at])
            start = -1
            at += len("</answer>")
        else:
            at += 1
    return found


def boxed(text: str) -> list[str]:
    """What each complete box holds, in the order of their ends."""
    text = text[max(text.find("\\boxed", max(0, len(text) - 65_536)), 0) :]
    found: list[str] = []
    starts: list[int] = []
    at = 0
    while at < len(text):
        end = at + len("\\boxed")
        while text[at:].startswith("\\boxed") and text[end : end + 1].isspace():
            end += 1
        if text[at:].startswith("\\boxed") and text[end : end + 1] == "{":
            at = end + 1
            starts.append(at)
            continue
        if text[at : at + 2] in ("\\{", "\\}"):
            at += 2
            continue
        if text[at] == "{":
            starts.append(-1)
        elif text[at] == "}" and starts and (start := starts.pop()) >= 0:
            found.append(text[start:at])
        at += 1
    return found


def expected_kinds(case: "Case") -> set[str]:
    cut = case.finish_reason == "length"
    if case.answer == "whole":
        if cut:
            return {"truncated"}
        answer = case.completion
    else:
        found = (tagged if case.answer == "tag" else boxed)(without_reasoning(case.completion))
        if not found:
            return {"truncated" if cut else "no_answer"}
        answer = next((each for each in found[-100:][::-1] if not is_mention(each)), found[-1])
    if not answer.strip():
        return {"no_answer"}
    plain = kind_of(*sides(answer), case, Expression)
    if plain != "not_expression":
        return {plain}
    whole = sides(bare(answer))
    left, right = whole if whole[1] is None else (bare(whole[0]), bare(whole[1]))
    lenient = kind_of(left, right, case, Lenient)
    if case.notation == "lenient":
        return {lenient}
    return {"other_notation" if lenient == "passed" else plain}


def sides(answer: str) -> tuple[str, str | None]:
    left, equals, right = answer.partition("=")
    return left, right.strip(" \t\r\n") if equals else None


def kind_of(left: str, right: str | None, case: "Case", reader: type[Expression]) -> str:
    if len(left) > MAX_ANSWER or right not in (None, str(case.target)):
        return "not_expression"
    expression = reader(left)
    try:
        value = expression.value()
    except (Bad, RecursionError):
        return "not_expression"
    if expression.used != Counter(case.nums):
        return "wrong_numbers"
    return "passed" if not expression.zero and value == case.target else "missed_target"


HOSTILE = [
    "99**99**99", "**", "//", "(" * 10_000, ")" * 300, "(" * 300, "9" * 5_000, "9" * 400, "NaN", "1e3", "1.5",
    "٣", "５", "×", "÷", "−", "\ud800", "\x00", "\u2028", "\u00a0", "_", "=", "= 1 =", "-", "+",
    "__import__('os')", "<answer>", "</answer>", "0", "00", "007", "#", "lambda: 0", "1_0", "<answer></answer>",
    "if", '"', "<think>", "</think>", "\\frac{1}{2}", ",", ";", "\\boxed{", "\\boxed{}", "{", "}", "\\{", "\\frac{",
    "\\times", "\\div", "\\left(", "\\right)", "$", "**", "__", ".", "x", "--", "\\", "\\(", "\\]", "$" * 300,
    "-" * 300, "<answer> </answer>", "<answer> and </answer>", "\\boxed{...}", "…",
]  # fmt: skip


class Case:
    """One problem, one completion; half of the targets are what the expression gives."""

    def __init__(self, rng: random.Random):
        self.answer = rng.choice(["tag", "tag", "boxed", "whole"])
        self.notation = rng.choice(["plain", "plain", "lenient"])
        self.nums = [rng.choice([1, 2, 3, 5, 7, 10, 44, 99]) for _ in range(rng.choice([1, 2, 3, 3, 4, 4]))]
        numbers = rng.sample(self.nums, len(self.nums))
        text = spell(rng, numbers)
        self.target = rng.randint(1, 100)
        if rng.random() < 0.7:
            value = Expression(text).value()
            if value.denominator == 1 and value > 0:
                self.target = int(value)
        if rng.random() < (0.7 if self.notation == "lenient" else 0.3):
            text = in_another_notation(rng, text)
        self.completion = random_completion(rng, text, self.target, self.answer)
        self.finish_reason = "length" if rng.random() < 0.1 else "stop"


def spell(rng: random.Random, numbers: list[int]) -> str:
    if len(numbers) == 1:
        return str(numbers[0]) if rng.random() < 0.9 else f"({numbers[0]})"
    cut = rng.randrange(1, len(numbers))
    blank = rng.choice(["", " ", "\n"])
    text = f"{spell(rng, numbers[:cut])}{blank}{rng.choice('+-*/')}{blank}{spell(rng, numbers[cut:])}"
    return f"({text})" if rng.random() < 0.6 else text


def in_another_notation(rng: random.Random, text: str) -> str:
    """The same in LaTeX or with other signs, now and then a bit wrong."""
    others = {
        "*": ["*", "\\times ", "\\cdot ", "×", "x", " x ", "·", "✖\ufe0f"],
        "/": ["/", "\\div ", "÷", "∕"],
        "-": ["-", "−", "–", "- "],
        "+": ["+", "+", "＋", "--"],
        "(": ["(", "(", "\\left(", "-(-(", "\\frac{"],
        ")": [")", ")", "\\right)", "}{1}"],
    }
    chosen = {sign: rng.choice(ways) if rng.random() < 0.5 else sign for sign, ways in others.items()}
    if chosen["("] == "-(-(":
        chosen[")"] = "))"
    if chosen["("] == "\\frac{" and rng.random() < 0.9:
        chosen[")"] = rng.choice(["}{1}", "}"])
    text = "".join(chosen.get(char, char) for char in text)
    if rng.random() < 0.2:
        text = rng.choice(["+", "--", "-"]) + text
    if rng.random() < 0.2:  # a fraction of two numbers, in place of one with a stroke
        at = text.find("/")
        left, right = text[:at].rstrip(), text[at + 1 :].lstrip()
        if at > 0 and left[-1:].isdigit() and right[:1].isdigit():
            top = left[len(left.rstrip("0123456789")) :]
            bottom = right[: len(right) - len(right.lstrip("0123456789"))]
            text = f"{left[: len(left) - len(top)]}\\frac{{{top}}}{{{bottom}}}{right[len(bottom) :]}"
    for _ in range(rng.choice([0, 0, 1, 1, 2])):
        left, right = rng.choice([*PAIRS, ("\\boxed{", "}"), ("\\boxed {", "}"), ("", "."), ("", " . ")])
        text = f"{left}{text}{right}"
    return text


def random_completion(rng: random.Random, text: str, target: int, answer: str) -> str:
    if rng.random() < 0.03:
        return "".join(rng.choice(HOSTILE) for _ in range(rng.randint(0, 4)))
    if rng.random() < 0.2:
        text += rng.choice([" = ", "="]) + str(rng.choice([target, target, target + 1]))
        if rng.random() < 0.2:
            left, right = rng.choice([*PAIRS, ("\\boxed{", "}"), ("", ".")])
            text = f"{left}{text}{right}"
    for _ in range(rng.choice([0, 0, 0, 0, 1, 2])):
        at = rng.randrange(len(text) + 1)
        inserted = rng.choice([*HOSTILE, "", "", "1", " ", "(", ")", "*", "/"])
        text = text[:at] + inserted + text[at + rng.choice([0, 0, 1, 2]) :]
    if answer == "whole":
        return text
    left, right = ("<answer>", "</answer>") if answer == "tag" else ("\\boxed{", "}")
    before = rng.choice(
        ["", "<think>Let me see.</think>\n", f"<think>{left}1{right}", f"{left}1{right}", left, f"In {left} {right}: "]
    )
    after = rng.choice(
        ["", "", "\n", " Done.", right, f" (in {left}{right})", f" {left} and {right}.", f"{left}...{right}"]
    )
    text = f"{before}{left}{text}{right}{after}"
    if rng.random() < 0.05:
        text = text[: rng.randrange(len(text) + 1)]
    return text
