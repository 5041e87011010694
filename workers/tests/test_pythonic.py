"""Calls as a Python list: what is read, that Python reads it the same, and what is not."""

import ast
import contextlib
import gc
import json
import time
import warnings
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrr_workers.tasks.bounded_json import decode, freeze
from rrr_workers.tasks.function_calling.task import FunctionCalling
from rrr_workers.tasks.function_calling.tool_calls import FORMATS, NotParsable

PYTHONIC = FORMATS["pythonic"]


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("""[f(a=1, b='x', c="y")]""", {"a": 1, "b": "x", "c": "y"}),
        ("[f(\n    a=1,\n    b=[1, 2,],\n)]", {"a": 1, "b": [1, 2]}),
        ("[f(a=True, b=False, c=None)]", {"a": True, "b": False, "c": None}),
        ("[f(a=true, b=false, c=null)]", {"a": True, "b": False, "c": None}),
        ("[f(a=-1.5e-3, b=0, c=10000000000000000000000)]", {"a": Decimal("-0.0015"), "b": 0, "c": 10**22}),
        ("[f(a=(1, 'x'), b=(), c=(1,), d=(1), e=((1,)))]", {"a": [1, "x"], "b": [], "c": [1], "d": 1, "e": [1]}),
        ("""[f(a={'x': {"y": [1]}}, b={})]""", {"a": {"x": {"y": [1]}}, "b": {}}),
        (r"""[f(a='it\'s', b="\\", c='\n\x41\u00e9\101\d')]""", {"a": "it's", "b": "\\", "c": "\nA\u00e9A\\d"}),
        (r"""[f(a='\U0001F600')]""", {"a": "\U0001f600"}),
        ("""[f(a='])', b='x\\\ny')]""", {"a": "])", "b": "xy"}),
        ("""[f(a='''it's\n"so"''')]""", {"a": 'it\'s\n"so"'}),
        ('''[f(a="""a"b""", b="")]''', {"a": 'a"b', "b": ""}),
        ("[f(\u00e9t\u00e9=1, a b=2, x-y=3)]", {"\u00e9t\u00e9": 1, "a b": 2, "x-y": 3}),
    ],
)
def test_values(text: str, arguments: dict[str, Any]) -> None:
    (call,) = PYTHONIC.parse(text)
    assert freeze(call.arguments) == freeze(arguments)


def test_names_may_have_dots_and_other_marks() -> None:
    calls = PYTHONIC.parse("\n[ns.f(a=1), a.b.c(), get-it(), get it ()]")
    assert [call.name for call in calls] == ["ns.f", "a.b.c", "get-it", "get it"]


#: What Python's literals have in common with JSON.
LITERALS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(LITERALS)
@settings(deadline=None)
def test_what_python_writes_is_read(value: Any) -> None:
    (call,) = PYTHONIC.parse(f"[f(a={value!r})]")
    assert freeze(call.arguments["a"]) == freeze(decode(json.dumps(value)))


@given(st.lists(st.sampled_from([*"'\"\\nxu04(){}[]:,=- 1.a\n\r", "True", "'''", '"""']), max_size=14).map("".join))
@settings(max_examples=1000, deadline=None)
def test_what_is_read_python_reads_the_same(text: str) -> None:
    try:
        calls = PYTHONIC.parse(f"[f(a=[{text}])]")
    except NotParsable:
        return
    if len(calls) == 1 and list(calls[0].arguments) == ["a"]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of unknown escapes
            value = ast.literal_eval(f"[{text}]".replace("true", "True"))
        assert freeze(calls[0].arguments["a"]) == freeze(decode(json.dumps(value)))


@pytest.mark.parametrize(
    "text",
    [
        "I call [f()]",
        "[f()] Done.",
        "[f()][g()]",
        "[f(]",
        "[f()",
        "[f",
        "[",
        "[f() g()]",
        "[()]",
        "[,]",
        "[f(),,]",
        "[1]",
        "['f']",
        "[f(1)]",
        "[f(a)]",
        "[f(a=)]",
        "[f(a=b)]",
        "[f(a=g())]",
        "[f(a=1, a=2)]",
        "[f(a={'x': 1, 'x': 2})]",
        "[f(a={1: 2})]",
        "[f(a={'x'})]",
        "[f(**{'a': 1})]",
        "[f(a=1 + 1)]",
        "[f(a=007)]",
        "[f(a=+1)]",
        "[f(a=1.)]",
        "[f(a=.5)]",
        "[f(a=1_000)]",
        "[f(a=0x1f)]",
        "[f(a=1e999999999)]",
        f"[f(a={'9' * 401})]",
        f"[f(a={'[' * 63}{']' * 63})]",
        "[f(a='x)]",
        "[f(a='x\ny')]",
        "[f(a='x\ry')]",
        "[f(a='''x)]",
        "[f(a=f'{1}')]",
        "[f(a='x' 'y')]",
        r"[f(a='\x4')]",
        r"[f(a='\u004')]",
        r"[f(a='\N{DIGIT ONE}')]",
        r"[f(a='\U00110000')]",
        "[__import__('os').system('true')]",
        "[f(a=__import__('os'))]",
    ],
)
def test_what_is_not_read(text: str) -> None:
    with pytest.raises(NotParsable):
        PYTHONIC.parse(text)


def test_nesting_and_length_have_a_bound() -> None:
    assert PYTHONIC.parse(f"[f(a={'[' * 62}{']' * 62})]")
    assert PYTHONIC.parse(f"[f(a='{'x' * 16_375}')]")
    with pytest.raises(NotParsable):
        PYTHONIC.parse(f"[f(a='{'x' * 16_376}')]")


@pytest.mark.parametrize(
    "text",
    [
        "[f(a=[" + "1," * 8_000,
        "[f(a=[" + "1," * 8_180 + "])]",
        "[" + "f()," * 4_000,
        "[" + "f()," * 4_090 + "]",
        "[f(a={" + "'':1," * 3_200,
        "[f(a=" + "[" * 62 + "'x'," * 4_000,
        "[f(a='" + "\\x41" * 4_000 + "')]",
        "[f(a='''" + "'a" * 8_000,
        "[f(a=" + "(1,)," * 3_000,
        "[f" + " " * 16_000 + "=",
        "[f(" + "a " * 8_000,
        "[f(a=" + "9" * 16_000,
        "[f(a=" + "1.5e" * 4_000,
    ],
)
def test_hostile_text_gets_a_fast_answer(text: str) -> None:
    gc.disable()  # a collection looks through all that the tests before this one left
    try:
        started = time.thread_time()
        with contextlib.suppress(NotParsable):
            PYTHONIC.parse(text)
        spent = time.thread_time() - started
    finally:
        gc.enable()
    assert spent < 0.05


def test_a_row_whose_names_cannot_be_written_has_no_reference_answer() -> None:
    task = FunctionCalling({"format": "pythonic"})
    for name, can in (("f.g h-i", True), ("f (old)", False)):
        row = {"query": "?", "tools": [{"name": name}], "answers": [{"name": name, "arguments": {}}]}
        query = task.normalise(row)
        assert (task.reference_answer(query) is not None) == can
        assert bool(list(task.corruptions(query))) == can
