"""The other notations of Countdown answers, and where an answer is boxed."""

import ast
import operator
import time
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrr_workers.tasks.base import Verdict
from rrr_workers.tasks.countdown.expression import MAX_LENGTH, NotAnExpression, evaluate, parse
from rrr_workers.tasks.countdown.notation import parse_lenient
from rrr_workers.tasks.countdown.task import Countdown

LENIENT = Countdown({"answer": "whole", "notation": "lenient"})
PLAIN = Countdown({"answer": "whole"})
BOXED = Countdown({"answer": "boxed"})


def judge(task: Countdown, answer: str, nums: list[int], target: int, finish: Any = "stop") -> Verdict:
    return task.judge(task.normalise({"nums": nums, "target": target}), answer, finish)


# nums 6, 3, 4; target 14
RIGHT_IN_ANOTHER = [
    r"6 \times 3 - 4",
    r"6 \cdot 3 - 4",
    r"6\cdot3-4",
    r"6 \ast 3 - 4",
    "6 x 3 - 4",
    "6x3-4",
    "6X3-4",
    "6 \u00d7 3 - 4",
    "6 \u00b7 3 - 4",
    "6 \u22c5 3 - 4",
    "6 \u2217 3 - 4",
    "6 \u2715 3 - 4",
    "6 \u2716\ufe0f 3 - 4",
    "6*3 \u2212 4",
    "6*3 \u2013 4",
    "6\uff0a3\uff0d4",
    "$6*3-4$",
    "$$6*3-4$$",
    r"\(6*3-4\)",
    r"\[ 6*3-4 \]",
    r"\boxed{6*3-4}",
    r"\boxed {6*3-4}",
    r"$\boxed{6 \times 3 - 4}$",
    "**6*3-4**",
    "__6*3-4__",
    "**$6 \\times 3 - 4$**",
    "6*3-4.",
    "$6*3-4.$",
    "**6*3-4.**.",
    "-4+6*3",
    "+6*3-4",
    "6*3+-4",
    "6*3-+4",
    "6*3+ - 4",
    "-(4-6*3)",
    "--6*3-4",
    "(-4)+6*3",
    r"\left(6\right) \times \left(3\right) - 4",
    r"6\,\times\;3\!-\:4",
    "$6*3-4 = 14$",
    "$6*3-4$ = $14$",
    "**6*3-4** = 14",
    "6*3-4 = 14.",
    r"\boxed{6*3-4} = 14",
    r"6*3-4 = \boxed{14}",
    r"$6 \times 3 - 4 = \boxed{14}$.",
    "6 x 3 - 4 = **14**",
]


@pytest.mark.parametrize("answer", RIGHT_IN_ANOTHER)
def test_an_answer_that_is_right_in_another_notation(answer: str) -> None:
    assert judge(LENIENT, answer, [6, 3, 4], 14) == Verdict(True, "passed")
    assert judge(PLAIN, answer, [6, 3, 4], 14).kind == "other_notation"
    # Only what is right is told apart.
    assert judge(PLAIN, answer, [6, 3, 4], 15).kind == "not_expression"
    assert judge(PLAIN, answer, [6, 3, 5], 14).kind == "not_expression"
    assert judge(LENIENT, answer, [6, 3, 5], 14).kind == "wrong_numbers"


@pytest.mark.parametrize(
    ("answer", "nums", "target", "kind"),
    [
        (r"\frac{8}{2}", [8, 2], 4, "passed"),
        (r"\dfrac{8}{2}", [8, 2], 4, "passed"),
        (r"\tfrac {8} {2}", [8, 2], 4, "passed"),
        (r"\frac{8 - 2}{3} + 1", [8, 2, 3, 1], 3, "passed"),
        (r"12 - \frac{8 - 2}{3}", [12, 8, 2, 3], 10, "passed"),
        (r"12 \times \frac{6}{\frac{8}{2}}", [12, 6, 8, 2], 18, "passed"),
        (r"\frac{\frac{8}{2}}{4} \cdot 5", [8, 2, 4, 5], 5, "passed"),
        (r"\frac{(8 - 2) \times 3}{9}", [8, 2, 3, 9], 2, "passed"),
        (r"-\frac{2}{8 - 10}", [2, 8, 10], 1, "passed"),
        (r"8 \div 2", [8, 2], 4, "passed"),
        ("8 \u00f7 2", [8, 2], 4, "passed"),
        ("8 \u2215 2", [8, 2], 4, "passed"),
        (r"8 \div 2 \times 4", [8, 2, 4], 16, "passed"),  # from the left
        ("10 - -2", [10, 2], 12, "passed"),
        ("-2 * -6", [2, 6], 12, "passed"),
        ("- 2 + 3 * 4", [2, 3, 4], 10, "passed"),
        ("-(2 + 3) * 4 + 30", [2, 3, 4, 30], 10, "passed"),
        ("2 * -3 + 10", [2, 3, 10], 4, "passed"),
        ("-7", [7], 7, "missed_target"),
        (r"\frac{8}{2 - 2}", [8, 2, 2], 4, "missed_target"),
        (r"6 \times 3 - 5", [6, 3, 5], 14, "missed_target"),
        (r"6 \times 3", [6, 3, 4], 18, "wrong_numbers"),
        ("0x6", [6], 6, "wrong_numbers"),
        ("0-6+12", [6, 12], 6, "wrong_numbers"),
    ],
)
def test_what_lenient_reads(answer: str, nums: list[int], target: int, kind: str) -> None:
    assert judge(LENIENT, answer, nums, target).kind == kind


@pytest.mark.parametrize(
    "answer",
    [
        "2**3",
        "2**+3",
        "2 ** 3",
        "2^3",
        "2//3",
        "2(3)",
        "(2)(3)",
        r"2\frac{1}{3}",
        r"\frac23",
        r"\frac{2}3",
        r"\frac{2}",
        r"\frac{(2}{3)}",
        r"\frac{2}{3",
        r"\frac{2}{3}}",
        r"(\frac{2)}{3}",
        r"\frac{}{3}",
        r"\frac",
        "{2}+{3}",
        r"\text{2+3}",
        r"\sqrt{2}+3",
        "2.5+3",
        "2,000+3",
        "2+3..",
        "2+3!",
        "2*",
        "2 -",
        "-",
        "+",
        "$",
        "$$",
        "**",
        "$2$+$3$",
        "**2**+**3**",
        "$2+3",
        "2+3$",
        r"\(2+3$",
        r"\boxed{2+3",
        r"\boxed{2}+\boxed{3}",
        r"\times 2 3",
        "2 x x 3",
        "2 x3x",
        "Answer: 2+3",
        "5 = 2+3",
        "2+3 = 5 = 5",
        "2+3 == 5",
        "2+3 = 05",
        "\u0662+\u0663",
        "2+3\u200b",
        "__import__('os')",
    ],
)
def test_what_lenient_does_not_read(answer: str) -> None:
    assert judge(LENIENT, answer, [2, 3], 5).kind == "not_expression"
    assert judge(PLAIN, answer, [2, 3], 5).kind == "not_expression"


@pytest.mark.parametrize(
    ("completion", "finish", "kind"),
    [
        (r"So it is \boxed{1+2}.", "stop", "passed"),
        (r"$$\boxed{ 1 + 2 = 3 }$$ Done.", "stop", "passed"),
        (r"\boxed {1+2}", "stop", "passed"),
        (r"\boxed{2-1} no: \boxed{1+2}", "stop", "passed"),
        (r"\boxed{1+2} no: \boxed{2-1}", "stop", "missed_target"),
        (r"\boxed{1+2} in a \boxed{}", "stop", "passed"),
        (r"\boxed{1+2}, written \boxed{...}", "stop", "passed"),
        (r"\boxed{1+2} and then \boxed{2", "length", "passed"),
        (r"\boxed{\boxed{1+2}}", "stop", "other_notation"),
        (r"\boxed{\frac{1}{2}}", "stop", "not_expression"),
        (r"\boxed{1+2}" + r"\boxed{ }" * 99, "stop", "passed"),
        (r"\boxed{1+2}" + r"\boxed{ }" * 100, "stop", "no_answer"),  # nobody looks back further
        (r"\boxed{1+2}" + " " * 65_525, "stop", "passed"),
        (r"\boxed{1+2}" + " " * 65_526, "stop", "no_answer"),
        (r"{ \boxed{1+2} } }", "stop", "passed"),
        (r"\{ \boxed{1+2}", "stop", "passed"),
        (r"\boxed{1+2} \boxed{2-1\}", "stop", "passed"),  # a brace of the text closes nothing
        (r"\boxed{1 \times 2}", "stop", "not_expression"),
        (r"\boxed{1 --2}", "stop", "other_notation"),
        (r"<think>\boxed{1+2}</think> \boxed{2-1}", "stop", "missed_target"),
        (r"<think>\boxed{1+2}</think> so be it", "stop", "no_answer"),
        (r"\boxed{}", "stop", "no_answer"),
        (r"\boxed{1+2", "stop", "no_answer"),
        (r"\boxed{1+2", "length", "truncated"),
        (r"\boxed 1+2", "stop", "no_answer"),
        ("1+2", "stop", "no_answer"),
        ("1+2", "length", "truncated"),
        ("<answer>1+2</answer>", "stop", "no_answer"),
    ],
)
def test_the_last_complete_box_is_the_answer(completion: str, finish: str, kind: str) -> None:
    assert judge(BOXED, completion, [1, 2], 3, finish).kind == kind


def test_what_is_missing_is_said_in_the_terms_of_the_option() -> None:
    assert judge(BOXED, "3", [1, 2], 3).detail == r"no \boxed{...}"
    assert judge(BOXED, "3", [1, 2], 3, "length").detail == r"cut at the token limit before the end of \boxed{...}"
    assert judge(Countdown(), "3", [1, 2], 3).detail == "no <answer>...</answer>"
    assert judge(Countdown(), "3", [1, 2], 3, "length").detail == "cut at the token limit before </answer>"
    assert judge(PLAIN, "3", [1, 2], 3, "length").detail == "cut at the token limit"


@pytest.mark.parametrize("answer", ["tag", "whole", "boxed"])
@pytest.mark.parametrize("notation", ["plain", "lenient"])
def test_reference_answers_pass_and_corrupted_ones_fail_as_said(answer: str, notation: str) -> None:
    task = Countdown({"answer": answer, "notation": notation})
    kinds = set()
    for nums, target in (([6, 3, 4], 14), ([7, 5], 12), ([3, 3, 8, 8], 24), ([9], 9)):
        query = task.normalise({"nums": nums, "target": target})
        right = task.reference_answer(query)
        assert right is not None
        assert task.judge(query, right, "stop").passed
        for completion, kind in task.corruptions(query):
            assert task.judge(query, completion, "stop").kind == kind, completion
            kinds.add(kind)
    assert ("other_notation" in kinds) == (notation == "plain")
    assert ("no_answer" in kinds) == (answer != "whole")


@given(st.text(alphabet="0123456789+-*/() \n", max_size=40))
@settings(max_examples=500, deadline=None)
def test_what_is_plain_is_read_the_same_in_both(text: str) -> None:
    try:
        plain = parse(text)
    except NotAnExpression:
        return
    assert parse_lenient(text) == plain


@given(st.lists(st.sampled_from(["12", "+", "-", "(", ")", "*", "/"]), max_size=12))
@settings(max_examples=1000, deadline=None)
def test_signs_are_those_of_python(tokens: list[str]) -> None:
    text = " ".join(tokens)
    try:
        value = evaluate(parse_lenient(text))
    except NotAnExpression:
        assert not _is_arithmetic(text)
        return
    expected = _value(ast.parse(f"({text})", mode="eval").body)
    assert value == (None if expected is None else (expected.numerator, expected.denominator))


def _is_arithmetic(text: str) -> bool:
    try:
        tree = ast.parse(f"({text})", mode="eval").body
    except SyntaxError:
        return False
    kinds = (ast.Constant, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop)
    powers = (ast.Pow, ast.FloorDiv)
    return all(isinstance(node, kinds) and not isinstance(node, powers) for node in ast.walk(tree))


def _value(node: ast.expr) -> Fraction | None:
    """What Python's grammar makes of it; None where it divides by zero."""
    if isinstance(node, ast.Constant):
        return Fraction(node.value)
    if isinstance(node, ast.UnaryOp):
        value = _value(node.operand)
        return -value if value is not None and isinstance(node.op, ast.USub) else value
    assert isinstance(node, ast.BinOp)
    left, right = _value(node.left), _value(node.right)
    if left is None or right is None or (isinstance(node.op, ast.Div) and right == 0):
        return None
    operators = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
    return Fraction(operators[type(node.op)](left, right))


@pytest.mark.parametrize(
    "text",
    [
        "$" * 100_000,
        "$" * MAX_LENGTH,
        "**" * (MAX_LENGTH // 2),
        "." * MAX_LENGTH,
        "-" * 100_000,
        "-" * (MAX_LENGTH - 1) + "1",
        "\\boxed{" * 100_000,
        "\\boxed{" * 70 + "}" * 22,
        "\\boxed{" * 50_000 + "}" * 50_000,
        "\\boxed{}" * 50_000,
        "\\boxed" + " " * 1_000_000,
        "\\boxed " * 100_000,
        "\\boxed{" + "." * 1_000_000 + "}",
        "\\frac{" * 80,
        "\\frac{" * 30 + "1" + "}{1}" * 30,
        "\\frac{" * 100_000,
        "{" * 1_000_000,
        "}" * 1_000_000,
        "\\" * 1_000_001,
        "9" * MAX_LENGTH,
        "\\(" * 100 + "\\)" * 100,
        "x" * MAX_LENGTH,
        "<answer>" + "$" * 500 + "</answer>",
        "=" * MAX_LENGTH,
        "\u0660" * MAX_LENGTH,
        "\ud800",
    ],
)
@pytest.mark.parametrize("task", [PLAIN, LENIENT, BOXED, Countdown({"answer": "boxed", "notation": "lenient"})])
def test_hostile_text_is_quick(text: str, task: Countdown) -> None:
    query = task.normalise({"nums": [1, 2], "target": 3})
    begun = time.thread_time()
    verdict = task.judge(query, text, "stop")
    assert time.thread_time() - begun < 0.05
    assert not verdict.passed
    assert len(verdict.detail) < 200
