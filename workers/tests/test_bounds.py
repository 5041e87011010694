"""The bounds of the verifiers, each from both sides: the last value that passes, and the first one that doesn't."""

import json
from typing import Any

import pytest

from rrr_workers.tasks.base import BadRow
from rrr_workers.tasks.bounded_json import JsonError, decode
from rrr_workers.tasks.countdown.expression import NotAnExpression, parse
from rrr_workers.tasks.countdown.task import Countdown
from rrr_workers.tasks.function_calling.tool_calls import FORMATS, NotParsable


def nested(depth: int, opening: str = "[", closing: str = "]") -> str:
    return opening * depth + closing * depth


@pytest.mark.parametrize(
    ("last", "first", "message"),
    [
        (nested(64), nested(65), "nested deeper than 64"),
        (nested(32, '{"a":[', "]}"), nested(33, '{"a":[', "]}"), "nested deeper than 64"),
        ('{"a":' * 64 + "1" + "}" * 64, '{"a":' * 65 + "1" + "}" * 65, "nested deeper than 64"),
        ("[[1]," + nested(63) + "]", "[[1]," + nested(64) + "]", "nested deeper than 64"),
        ("9" * 400, "9" * 401, "a number of more than 400 characters"),
        ("0." + "9" * 398, "0." + "9" * 399, "a number of more than 400 characters"),
        ("1e999999", "1e1000000", "a number out of range"),
        ("-1e999999", "-1e1000000", "a number out of range"),
        ("1e-999999", "1e-1000000", "a number out of range"),
        ("99e999998", "99e999999", "a number out of range"),
        ("0.1e-999998", "0.1e-999999", "a number out of range"),
        (" " * 65_535 + "1", " " * 65_536 + "1", "longer than 65536 characters"),
    ],
)
def test_json(last: str, first: str, message: str) -> None:
    decode(last)
    with pytest.raises(JsonError, match=message):
        decode(first)


def test_brackets_in_a_text_and_lists_side_by_side_are_no_depth() -> None:
    assert decode(json.dumps("[{" * 200)) == "[{" * 200
    assert decode("[" + "[]," * 200 + "[]]") == [[]] * 201


@pytest.mark.parametrize("name", FORMATS)
def test_the_number_of_calls(name: str) -> None:
    def calls(count: int) -> str:
        return FORMATS[name].render([{"name": "f", "arguments": {}}] * count)

    assert len(FORMATS[name].parse(calls(100))) == 100
    with pytest.raises(NotParsable, match="more than 100 calls"):
        FORMATS[name].parse(calls(101))


def test_the_number_of_calls_that_vllm_reads() -> None:
    pytest.importorskip("vllm")
    from rrr_workers.tasks.function_calling.vllm_parsers import VllmFormat

    class Tokenizer:
        def get_vocab(self) -> dict[str, int]:
            return {}

    tools = [{"type": "function", "function": {"name": "f"}}]
    pythonic = VllmFormat("pythonic", Tokenizer())
    assert len(pythonic.parse("[" + ", ".join(["f(a=1)"] * 100) + "]", tools)) == 100
    with pytest.raises(NotParsable, match="more than 100 calls"):
        pythonic.parse("[" + ", ".join(["f(a=1)"] * 101) + "]", tools)
    assert pythonic.parse("x" * 65_536, tools) == []
    with pytest.raises(NotParsable, match="longer than 65536 characters"):
        pythonic.parse("x" * 65_537, tools)


def test_the_length_of_an_expression() -> None:
    assert parse("1+" * 255 + "11")[0] == 1
    with pytest.raises(NotAnExpression, match="longer than 512 characters"):
        parse("1+" * 255 + "111")


@pytest.mark.parametrize(
    ("last", "first", "message"),
    [
        ({"nums": [1] * 10}, {"nums": [1] * 11}, "a list of 1 to 10 numbers"),
        ({"nums": [1]}, {"nums": []}, "a list of 1 to 10 numbers"),
        ({"nums": [10**9]}, {"nums": [10**9 + 1]}, r"nums\[0\] must be a whole number from 1 to 1000000000"),
        ({"nums": [1]}, {"nums": [0]}, r"nums\[0\] must be a whole number"),
        ({"target": 10**9}, {"target": 10**9 + 1}, "target must be a whole number from 1 to 1000000000"),
        ({"target": 1}, {"target": 0}, "target must be a whole number"),
    ],
)
def test_rows_of_countdown(last: dict[str, Any], first: dict[str, Any], message: str) -> None:
    row = {"nums": [1, 2], "target": 3}
    Countdown().normalise({**row, **last})
    with pytest.raises(BadRow, match=message):
        Countdown().normalise({**row, **first})
