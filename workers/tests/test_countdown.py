"""The Countdown verifier against a table, an independent oracle and hostile text; its rows, prompts and generator."""

import ast
import operator
import time
from collections import Counter
from fractions import Fraction
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import real_data
from rrr_workers.config import TaskSection
from rrr_workers.errors import UserError
from rrr_workers.tasks.base import BadRow
from rrr_workers.tasks.countdown.expression import MAX_LENGTH, NotAnExpression, evaluate, parse
from rrr_workers.tasks.countdown.generator import GeneratorOptions, generate_problems, is_solvable, values_in_order
from rrr_workers.tasks.countdown.task import Countdown
from rrr_workers.tasks.registry import load_task, templates

WHOLE = Countdown({"answer": "whole"})
TAG = Countdown()


def verdict(answer: str, nums: list[int], target: int, task: Countdown = WHOLE, finish: Any = "stop") -> str:
    return task.judge(task.normalise({"nums": nums, "target": target}), answer, finish).kind


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        # nums 44, 19, 35; target 98
        ("44 + 19 + 35", "passed"),
        ("(35+44)+19", "passed"),
        ("((44))+((19+35))", "passed"),
        ("\n 44 +\n 19 + 35 \t\r\n", "passed"),
        ("44+19+35=98", "passed"),
        ("44+19+35 = 98 \n", "passed"),
        ("44+19+35 = 99", "not_expression"),
        ("44+19+35 = 98 = 98", "not_expression"),
        ("44+19+35 == 98", "not_expression"),
        ("98 = 44+19+35", "not_expression"),
        ("44+19+35=49+49", "not_expression"),
        ("44+19-35", "missed_target"),
        ("44/19/35", "missed_target"),
        ("44+19", "wrong_numbers"),
        ("44+19+35+0", "wrong_numbers"),
        ("44+44+19-9", "wrong_numbers"),
        ("98", "wrong_numbers"),
        ("44+19+3*5", "wrong_numbers"),
        ("44/(19-19)+35", "wrong_numbers"),
        ("", "no_answer"),
        ("  \n ", "no_answer"),
        ("44 19 35", "not_expression"),
        ("44+19+35+", "not_expression"),
        ("+44+19+35", "other_notation"),
        ("-44+19+35", "not_expression"),
        ("44+-19+35", "not_expression"),
        ("44--19+35", "other_notation"),
        ("(44+19+35", "not_expression"),
        ("44+19+35)", "not_expression"),
        ("()", "not_expression"),
        ("(", "not_expression"),
        (")", "not_expression"),
        ("44(19)35", "not_expression"),
        ("(44)(19)", "not_expression"),
        ("44**19+35", "not_expression"),
        ("44//19+35", "not_expression"),
        ("44 * * 19+35", "not_expression"),
        ("44.0+19+35", "not_expression"),
        ("44e0+19+35", "not_expression"),
        ("4_4+19+35", "not_expression"),
        ("044+19+35", "not_expression"),
        ("0x2c+19+35", "not_expression"),
        ("44+19+35;", "not_expression"),
        ("44+19+35 # done", "not_expression"),
        ("The answer is 44+19+35", "not_expression"),
        ("44\u00d719\u00f735", "not_expression"),
        ("44\u221219+35", "not_expression"),
        ("\u0664\u0664+19+35", "not_expression"),
        ("\uff14\uff14+19+35", "not_expression"),
        ("44\u00b2+19+35", "not_expression"),
        ("44+19+35\u00a0", "not_expression"),
        ("44+19+35\u200b", "not_expression"),
        ("44+19+35\x00", "not_expression"),
        ("44\uff0b19+35", "other_notation"),
        ("__import__('os').system('true')", "not_expression"),
    ],
)
def test_table(answer: str, kind: str) -> None:
    assert verdict(answer, [44, 19, 35], 98) == kind


@pytest.mark.parametrize(
    ("answer", "nums", "target", "kind"),
    [
        ("2-3-4", [2, 3, 4], 1, "missed_target"),  # from the left: -5
        ("24/4/2", [24, 4, 2], 3, "passed"),
        ("8/(3-8/3)", [8, 3, 8, 3], 24, "passed"),  # through fractions
        ("1/3*3", [1, 3, 3], 1, "passed"),  # exactly
        ("1/(3-3)", [1, 3, 3], 1, "missed_target"),
        ("0", [1], 1, "wrong_numbers"),
        ("7", [7], 7, "passed"),
        ("3+3", [3, 3], 6, "passed"),
        ("3*2", [3, 3], 6, "wrong_numbers"),
        ("2+3*4", [2, 3, 4], 14, "passed"),
        ("2+3*4", [2, 3, 4], 20, "missed_target"),
        ("5/(2-3)", [5, 2, 3], 5, "missed_target"),  # -5: the sign is kept
        ("(1-2)/(3-4)", [1, 2, 3, 4], 1, "passed"),
        ("1000000000*1000000000", [10**9, 10**9], 10, "missed_target"),
    ],
)
def test_arithmetic(answer: str, nums: list[int], target: int, kind: str) -> None:
    assert verdict(answer, nums, target) == kind


@pytest.mark.parametrize(
    ("completion", "finish", "kind"),
    [
        ("<think>hm</think> <answer>1+2</answer>", "stop", "passed"),
        ("<answer>\n1 + 2\n= 3\n</answer>\n", "stop", "passed"),
        ("<answer>1</answer> no: <answer>1+2</answer>", "stop", "passed"),
        ("<answer>1+2</answer> no: <answer>2-1</answer>", "stop", "missed_target"),
        ("<answer>x<answer>1+2</answer>", "stop", "passed"),
        ("<answer>1+2</answer> and so on <answer>2", "length", "passed"),
        ("<answer></answer>", "stop", "no_answer"),
        ("<answer> \n</answer>", "length", "no_answer"),
        ("1+2", "stop", "no_answer"),
        ("1+2", "length", "truncated"),
        ("<answer>1+2", "stop", "no_answer"),
        ("<answer>1+2", "length", "truncated"),
        ("1+2</answer>", "stop", "no_answer"),
        ("</answer><answer>1+2", "stop", "no_answer"),
        ("<ANSWER>1+2</ANSWER>", "stop", "no_answer"),
        ("<answer>1+2</answer", "stop", "no_answer"),
        # One that is empty or only mentioned doesn't replace an answer, nor does a tag without its partner.
        ("<answer>1+2</answer> It stands in <answer> </answer> tags.", "stop", "passed"),
        ("<answer>1+2</answer> It stands in <answer></answer>.", "length", "passed"),
        ("<answer>1+2</answer> It stands in `<answer>` and `</answer>`.", "stop", "passed"),
        ("<answer>1+2</answer> As in <answer>...</answer>.", "stop", "passed"),
        ("<answer>1+2</answer> Done. </answer>", "stop", "passed"),
        ("<answer>1+2</answer></answer></answer>", "stop", "passed"),
        ("<answer>1+2</answer> </answer> <answer> </answer> </answer> <answer>", "stop", "passed"),
        ("<answer> </answer> is where it goes: <answer>1+2</answer>", "stop", "passed"),
        ("<answer>2-1</answer> </answer>", "stop", "missed_target"),
        ("<answer>1+2</answer> <answer>none</answer>", "stop", "not_expression"),  # taken back
        ("<answer>1+2</answer> <answer>+</answer>", "stop", "not_expression"),
        ("<answer>and</answer>", "stop", "not_expression"),
        ("<answer> </answer> <answer>...</answer>", "stop", "not_expression"),  # no other, so the last
        ("<answer>1+2</answer>" + "<answer> </answer>" * 99, "stop", "passed"),
        ("<answer>1+2</answer>" + "<answer> </answer>" * 100, "stop", "no_answer"),  # nobody looks back further
        ("</answer> 1+2 <answer>", "stop", "no_answer"),
    ],
)
def test_where_the_answer_is(completion: str, finish: str, kind: str) -> None:
    assert verdict(completion, [1, 2], 3, TAG, finish) == kind


def test_a_whole_answer_cut_at_the_limit_is_truncated() -> None:
    assert verdict("1+2", [1, 2], 3, WHOLE, "length") == "truncated"


# An expression tree, and how Python reads the text made of it: an oracle that shares nothing with the parser.
_numbers = st.integers(0, 30)
_trees = st.recursive(_numbers, lambda inner: st.tuples(inner, st.sampled_from("+-*/"), inner), max_leaves=8)
_OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def _write(tree: Any, draw: st.DataObject) -> str:
    if isinstance(tree, int):
        text = str(tree)
    else:
        left, sign, right = (_write(tree[0], draw), tree[1], _write(tree[2], draw))
        space = draw.draw(st.sampled_from(["", " ", "\n"]))
        text = f"{left}{space}{sign}{space}{right}"
    return f"({text})" if draw.draw(st.booleans()) else text


def _oracle(node: ast.expr, leaves: list[int]) -> Fraction:
    if isinstance(node, ast.Constant):
        leaves.append(node.value)
        return Fraction(node.value)
    assert isinstance(node, ast.BinOp)
    left, right = _oracle(node.left, leaves), _oracle(node.right, leaves)
    return _OPERATORS[type(node.op)](left, right)


@given(_trees, st.data())
@settings(max_examples=300, deadline=None)
def test_agrees_with_an_independent_oracle(tree: Any, data: st.DataObject) -> None:
    text = _write(tree, data)
    leaves: list[int] = []
    postfix = parse(text)
    try:
        expected: Fraction | None = _oracle(ast.parse(f"({text})", mode="eval").body, leaves)
    except ZeroDivisionError:
        expected = None
    value = evaluate(postfix)
    if expected is None:
        assert value is None
        return
    assert value == (expected.numerator, expected.denominator)
    assert [item for item in postfix if isinstance(item, int)] == leaves
    if min(leaves) > 0 and expected.denominator == 1 and expected > 0:
        assert verdict(text, leaves, int(expected)) == "passed"
        assert verdict(text, leaves, int(expected) + 1) == "missed_target"
        assert verdict(text, [*leaves, 1], int(expected)) == "wrong_numbers"


@given(st.text(alphabet="0123456789+-*/() =.<>answer\n\u00d7\u0664", max_size=80))
@settings(max_examples=500, deadline=None)
def test_any_text_gets_a_verdict(text: str) -> None:
    for task in (WHOLE, TAG):
        assert verdict(text, [1, 2], 3, task) in ("passed", *Countdown.error_kinds)
    if verdict(text, [1, 2], 3) == "passed":
        python = ast.parse(text.partition("=")[0].strip().replace("\n", " "), mode="eval").body
        assert _oracle(python, []) == 3


@given(st.text(alphabet="12+-*/() ", max_size=14))
@settings(max_examples=500, deadline=None)
def test_the_grammar_is_python_s_without_signs_and_powers(text: str) -> None:
    try:
        python = ast.parse(f"({text.strip()})", mode="eval").body
    except SyntaxError:
        python = None
    plain = python is not None and all(
        isinstance(node, (ast.Constant, ast.BinOp, *_OPERATORS)) for node in ast.walk(python)
    )
    try:
        parse(text)
        parsed = True
    except NotAnExpression:
        parsed = False
    assert parsed == plain


@pytest.mark.parametrize(
    "text",
    [
        "99**99**99*5",
        "(" * 10_000,
        "(" * 10_000 + "1" + ")" * 10_000,
        "(" * 200 + "1" + ")" * 200,
        "9" * 100_000,
        "9" * MAX_LENGTH,
        "*".join(["9" * 60] * 8),
        "1" + "/3" * 250,
        "1" + "-1" * 250,
        "1+" * 1_000_000,
        "<answer>" * 100_000,
        "</answer>" * 100_000,
        "<answer>" + "</answer>" * 100_000,
        "<answer>" * 50_000 + "</answer>" * 50_000,
        "<answer></answer>" * 50_000,
        "<answer>" + "." * 1_000_000 + "1</answer></answer>",
        "<answer>" + "1+" * 500_000 + "</answer>",
        "=" * 100_000,
        " " * 1_000_000,
        "\u0660" * 10_000,
        "\ud800",
        "1=" + "3" * 100_000,
    ],
)
@pytest.mark.parametrize("task", [WHOLE, TAG])
def test_hostile_text_is_quick(text: str, task: Countdown) -> None:
    begun = time.perf_counter()
    answer = task.judge(task.normalise({"nums": [1, 2], "target": 3}), text, "stop")
    assert time.perf_counter() - begun < 0.05
    assert not answer.passed
    assert len(answer.detail) < 200


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"nums": [1, 2]}, "target is missing"),
        ({"target": 3}, "nums is missing"),
        ({"nums": [1, 2], "target": None}, "target is missing"),
        ({"nums": "1, 2", "target": 3}, "list of 1 to 10 numbers, got '1, 2'"),
        ({"nums": [], "target": 3}, "list of 1 to 10 numbers, got []"),
        ({"nums": [1] * 11, "target": 3}, "list of 1 to 10"),
        ({"nums": [1, "2"], "target": 3}, "nums[1] must be a whole number from 1 to 1000000000, got '2'"),
        ({"nums": [1, 2.0], "target": 3}, "nums[1] must be a whole number from 1 to 1000000000, got 2.0"),
        ({"nums": [True, 2], "target": 3}, "nums[0] must be a whole number from 1 to 1000000000, got True"),
        ({"nums": [1, 0], "target": 3}, "nums[1] must be"),
        ({"nums": [1, -2], "target": 3}, "nums[1] must be"),
        ({"nums": [1, 2], "target": "98"}, "target must be a whole number from 1 to 1000000000, got '98'"),
        ({"nums": [1, 2], "target": float("nan")}, "got nan"),
        ({"nums": [1, 2], "target": 10**5000}, "hundreds of digits"),
        ({"nums": [[1], 2], "target": 3}, "nums[0] must be"),
        ({"nums": {"a": 1}, "target": 3}, "list of 1 to 10"),
    ],
)
def test_a_bad_row_says_what_is_wrong(row: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRow) as caught:
        TAG.normalise(row)
    assert message in str(caught.value)


def test_ids_keep_the_order_and_split_keys_do_not() -> None:
    one, other = (TAG.normalise({"nums": nums, "target": 7}) for nums in ([1, 2, 3], [3, 2, 1]))
    assert one.id != other.id
    assert one.id == "1aaa4ecfb37a167d"  # as in every run directory: an id that changes orphans finished work
    assert one.split_key == other.split_key == TAG.normalise({"nums": [2, 3, 1], "target": 9}).split_key


def test_prompts() -> None:
    query = TAG.normalise({"nums": [44, 19, 35], "target": 98})
    question = TAG.prompts.question.format_map(TAG.prompt_fields(query))
    assert question.startswith("Using the numbers [44, 19, 35], create an equation that equals 98.")
    assert TAG.prompts.reflection.startswith("You tried solving the problem and got the wrong answer. Reflect on")
    tight = Countdown({"number_separator": ","}, {"question": "Use {numbers} to make {target}."})
    assert tight.prompts.question.format_map(tight.prompt_fields(query)) == "Use 44,19,35 to make 98."
    assert tight.prompts.retry == TAG.prompts.retry


def section(**values: Any) -> TaskSection:
    return TaskSection.model_validate({"name": "countdown", "options": {}, "prompts": {}, **values})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "countup"}, "task.name: unknown task 'countup'"),
        ({"options": {"answr": "tag"}}, "task.options.answr: Extra inputs are not permitted"),
        ({"options": {"answer": "last"}}, "task.options.answer: Input should be 'tag', 'whole' or 'boxed', got 'last'"),
        (
            {"options": {"notation": "latex"}},
            "task.options.notation: Input should be 'plain' or 'lenient', got 'latex'",
        ),
        ({"options": {"generator": {"low": 9, "high": 3}}}, "low must not exceed high"),
        ({"options": {"generator": {"numbers": [7]}}}, "numbers must each be from 1 to 4"),
        ({"prompts": {"question": "{nums} -> {target}"}}, "task.prompts.question: unknown placeholder {nums}"),
        ({"prompts": {"retry": "{target.real}"}}, "task.prompts.retry: unknown placeholder {target.real}"),
        ({"prompts": {"retry": "{target:>9}"}}, "unknown placeholder {target:>9}"),
        ({"prompts": {"system": "{}"}}, "task.prompts.system: unknown placeholder {}"),
        ({"prompts": {"reflection": "{target"}}, "task.prompts.reflection: "),
        ({"prompts": {"question": "{a}", "retry": "{b}"}}, "{a}\ntask.prompts.retry: unknown placeholder {b}"),
    ],
)
def test_mistakes_in_the_task_section_are_user_errors(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        load_task(section(**values))
    assert message in str(caught.value)
    assert caught.value.cure


def test_templates_in_force() -> None:
    task = load_task(section(prompts={"system": "Be brief. {{}}", "retry": "Again."})).task
    assert set(templates(task)) == {"system", "question", "reflection", "retry", "bare_retry", "hint"}
    assert templates(task)["retry"] == "Again."


def test_the_generator_makes_distinct_solvable_problems() -> None:
    rows = list(generate_problems(GeneratorOptions(), 300, seed=5))
    assert len({(tuple(row["nums"]), row["target"]) for row in rows}) == 300
    assert all(is_solvable(tuple(row["nums"]), row["target"]) for row in rows)
    assert rows[:50] == list(islice(generate_problems(GeneratorOptions(), 10**9, seed=5), 50))
    assert rows != list(generate_problems(GeneratorOptions(), 300, seed=6))
    sizes = Counter(len(row["nums"]) for row in rows)
    assert abs(sizes[3] - sizes[4]) < 90  # half each; 90 is five standard deviations
    assert all(1 <= number <= 99 for row in rows for number in row["nums"])
    assert all(10 <= row["target"] <= 100 for row in rows)


def test_the_generator_has_the_distribution_of_the_hub_set() -> None:
    hub = real_data.rows("countdown/countdown-4000.jsonl")
    ours = list(generate_problems(GeneratorOptions(), 1000, seed=1))
    assert all(is_solvable(tuple(row["nums"]), row["target"]) for row in hub[:200])
    for size in (3, 4):
        theirs, mine = ([row for row in rows if len(row["nums"]) == size] for rows in (hub, ours))
        # Means lie within about four standard errors.
        assert abs(_mean(row["target"] for row in theirs) - _mean(row["target"] for row in mine)) < 4.5
        assert abs(_mean(n for row in theirs for n in row["nums"]) - _mean(n for row in mine for n in row["nums"])) < 3
        repeated = [_mean(len(set(row["nums"])) < size for row in rows) for rows in (theirs, mine)]
        assert abs(repeated[0] - repeated[1]) < 0.04


def _mean(values: Any) -> float:
    listed = list(values)
    return sum(listed) / len(listed)


def test_in_order_problems_are_solved_as_they_stand() -> None:
    options = GeneratorOptions(numbers=[3], high=12, target_low=1, in_order=True)
    for row in generate_problems(options, 200, seed=0):
        texts = [f"{row['nums'][0]}{p}{row['nums'][1]}{q}{row['nums'][2]}" for p in "+-*/" for q in "+-*/"]
        assert "passed" in {verdict(text, row["nums"], row["target"]) for text in texts}
    assert values_in_order((7, 2, 4)) == {13, 5, 9, 1, 15, -1, 18, 10, 56}
    assert 14 in values_in_order((4, 2, 7))  # 4/2*7
    assert 14 not in values_in_order((2, 4, 28))  # 2/4*28 passes through a half


def test_a_world_that_is_too_small_is_a_user_error() -> None:
    with pytest.raises(UserError, match=r"only \d+ distinct problems, 1000 were asked for"):
        list(generate_problems(GeneratorOptions(numbers=[2], high=3, target_low=1, target_high=5), 1000, seed=0))
