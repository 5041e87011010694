"""Call formats: what each accepts, and that they read well-formed answers as vLLM's own parsers do."""

import contextlib
import json
import re
import time
from typing import Any

import pytest

from real_data import rows
from rrr_workers.tasks.function_calling.tool_calls import FORMATS, Call, NotParsable
from rrr_workers.tasks.reasoning import answer_part

ONE = [{"name": "f", "arguments": {"a": [1, {"b": "]"}], "c": "x"}}]
TOOLS = [{"type": "function", "function": {"name": "get it", "parameters": {"type": "object", "properties": {}}}}]
TWO = [*ONE, {"name": "g h.i", "arguments": {}}]


def parsed(name: str, text: str) -> list[dict[str, Any]]:
    return [{"name": call.name, "arguments": call.arguments} for call in FORMATS[name].parse(answer_part(text)[0])]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("calls", [ONE, TWO])
def test_what_a_format_renders_it_parses(name: str, calls: list[dict[str, Any]]) -> None:
    assert parsed(name, FORMATS[name].render(calls)) == calls
    assert parsed(name, "<think>[{}]</think>\n" + FORMATS[name].render(calls)) == calls
    assert parsed(name, "No tool fits.") == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("json", 'Sure!\n```json\n[{"name": "f", "arguments": {}}]\n```\nDone.'),
        ("json", '```\n[{"name": "f", "arguments": {}}]'),
        ("hermes", 'I call <tool_call>\n{"name": "f", "arguments": {}}\n</tool_call> now'),
        ("hermes", '<tool_call>{"name": "f", "arguments": {}}'),
        ("llama3_json", '<|python_tag|>{"type": "function", "name": "f", "parameters": {}}'),
        ("llama3_json", '[{"name": "f", "arguments": {}}]'),
        ("phi4_mini_json", ' functools[{"name": "f", "arguments": {}}] '),
        ("phi4_mini_json", 'I call functools[{"name": "f", "arguments": {}}] now'),
        ("phi4_mini_json", '<|tool_call|>[{"name": "f", "arguments": {}}]<|/tool_call|>'),
        ("phi4_mini", '<|tool_call|>[{"name": "f", "arguments": {}}]<|/tool_call|>'),
        ("phi4_mini", 'I call\n<|tool_call|> [{"name": "f", "parameters": {}}]\n<|/tool_call|> now'),
        ("phi4_mini", '<|tool_call|>[{"name": "f", "arguments": {}}]'),
        ("phi4_mini", 'functools[{"name": "f", "arguments": {}}]'),
        ("pythonic", "[f()]"),
        ("pythonic", "\n\n[f()]\n"),
        ("pythonic", " \r\n\t[ f ( ) , ]"),
        ("pythonic", "<|python_start|>[f()]<|python_end|>"),
        ("xlam", '[TOOL_CALLS] [{"name": "f", "arguments": {}}]'),
        ("xlam", '[TOOL_CALLS] [{"name": "f", "arguments": {}}]\nDone.'),
        ("xlam", '[TOOL_CALLS] [{"name": "f",\n"arguments": {}}]'),
        ("xlam", 'I call a tool. [TOOL_CALLS] [{"name": "f", "arguments": {}}]'),
        ("xlam", '<tool_call>[{"name": "f", "arguments": {}}]</tool_call>'),
        ("xlam", '<tool_call>[{"name": "f", "arguments": {}}]'),
        ("xlam", 'I call [1]:\n<tool_call>\n[{"name": "f", "arguments": {}}]\n</tool_call> Done.'),
        ("xlam", 'I call:\n```json\n[{"name": "f", "arguments": {}}]\n``` Done.'),
        ("xlam", '```\n[{"name": "f", "arguments": {}}]'),
        ("xlam", '{"tool_calls": [{"name": "f", "arguments": {}}]}'),
        ("xlam", ' {"thought": "I call f.", "tool_calls": [{"name": "f", "arguments": {}}]}\n'),
        ("xlam", 'I call:\n```json\n{"tool_calls": [{"name": "f", "arguments": {}}]}\n```'),
        ("xlam", 'I call [TOOL_CALLS]{"tool_calls": [{"name": "f", "arguments": {}}]}'),
        ("xlam", '<tool_call>{"tool_calls": [{"name": "f", "arguments": {}}]}</tool_call>'),
        ("xlam", '[{"name": "f", "arguments": "{}"}]'),
        ("xlam", '{"tool_calls": [{"name": "f", "arguments": " {} "}]}'),
    ],
)
def test_ways_to_write_a_call(name: str, text: str) -> None:
    assert parsed(name, text) == [{"name": "f", "arguments": {}}]


@pytest.mark.parametrize(
    "text",
    [
        "<|python_tag|>{F}<|python_tag|>{G}",
        "<|python_tag|>{F}; <|python_tag|>{G}",
        "<|python_tag|>\n{F}\n<|python_tag|>\n{G}\n",
        "```json\n{F}\n```\n```json\n{G}\n```",
        "I call:\n```\n{F}\n```\n\n```\n{G}\n``` Done.",
        "```json\n[{F},\n{G}]\n```",
        "<|python_tag|>```json\n{F};\n{G}\n```",
        "{F},{G}",
    ],
)
def test_llama_may_repeat_its_tag_and_its_fences(text: str) -> None:
    for mark, call in (("{F}", ONE[0]), ("{G}", TWO[1])):
        text = text.replace(mark, json.dumps({"name": call["name"], "parameters": call["arguments"]}))
    assert parsed("llama3_json", text) == TWO


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("json", 'I call [{"name": "f", "arguments": {}}]'),
        ("json", '```\n[{"name": "f", "arguments": {}}]\n```\n```\n[]\n```'),
        ("json", '```python\n[{"name": "f", "arguments": {}}]\n```'),
        ("hermes", "<tool_call>f()</tool_call>"),
        ("hermes", '<tool_call>{"name": "f", "arguments": {}} or so</tool_call>'),
        ("hermes", '<tool_call>{"name": "f", "arguments": {}}</tool_call><tool_call>{"na'),
        ("llama3_json", '{"name": "f", "parameters": {}} and {"name": "f", "parameters": {}}'),
        ("phi4_mini_json", "functools[f()]"),
        ("phi4_mini_json", "functools[] functools[]"),
        (
            "llama3_json",
            '```json\n{"name": "f", "parameters": {}}\n```\nand\n```json\n{"name": "f", "parameters": {}}\n```',
        ),
        ("llama3_json", '{"name": "f", "parameters": "{}"}'),
        ("phi4_mini", "<|tool_call|>f()<|/tool_call|>"),
        ("phi4_mini", '<|tool_call|>{"name": "f", "arguments": {}}<|/tool_call|>'),
        ("phi4_mini", '<|tool_call|>[{"name": "f", "arguments": {}}] or so<|/tool_call|>'),
        ("phi4_mini", '<|tool_call|>[{"name": "f", "arguments": {}}]<|/tool_call|><|tool_call|>[]<|/tool_call|>'),
        ("phi4_mini", '<|tool_call|>[{"name": "f", "arguments": {}}]<|/tool_call|> functools[]'),
        ("xlam", '<tool_call>{"name": "f", "arguments": {}}</tool_call>'),
        ("xlam", 'I call [{"name": "f", "arguments": {}}]'),
        ("xlam", '{"name": "f", "arguments": {}}'),
        ("xlam", '{"calls": [{"name": "f", "arguments": {}}]}'),
        ("xlam", '{"tool_calls": {"name": "f", "arguments": {}}}'),
        ("xlam", '[{"name": "f", "arguments": {}}] Done.'),
        ("xlam", '[TOOL_CALLS] [{"name": "f", "arguments": {}}] Done.'),
        ("xlam", '[TOOL_CALLS] [{"name": "f", "arguments": {}}]\n[TOOL_CALLS] []'),
        ("xlam", '<tool_call>[{"name": "f", "arguments": {}}] or so</tool_call>'),
        ("xlam", '<tool_call>[{"name": "f", "arguments": {}}]</tool_call><tool_call>[]</tool_call>'),
        ("xlam", '```json\n[{"name": "f", "arguments": {}}]\n```\n```json\n[]\n```'),
        ("xlam", '```python\n[{"name": "f", "arguments": {}}]\n```'),
        ("xlam", '[{"name": "f", "arguments": "a=1"}]'),
        ("xlam", '[{"name": "f", "arguments": "[]"}]'),
        ("xlam", '[{"name": "f", "arguments": "{\\"a\\": 1, \\"a\\": 1}"}]'),
        *((name, FORMATS[name].render([{"name": "f", "arguments": {}}] * 101)) for name in FORMATS),
    ],
)
def test_ways_not_to(name: str, text: str) -> None:
    with pytest.raises(NotParsable):
        FORMATS[name].parse(text)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "hostile",
    ["[" * 60_000, "{" * 60_000, '{"a":' * 10_000, "9" * 60_000, '"' * 60_000, "```" * 20_000, "<tool_call>" * 5_000,
     '<tool_call>{"name":"f","arguments":{}}</tool_call>' * 1_000, "functools[" * 6_000, "\\" * 60_000, "[" * 200_000,
     '{"name":"f","parameters":{}};' * 2_000, "<|tool_call|>" * 5_000, "[TOOL_CALLS]" * 5_000, "f(" * 30_000,
     "[f(a=" + "(" * 60_000, "[f(a=" + "9" * 60_000, "[f(a=" + "-" * 60_000, "'" * 60_000, "[f(a='''" + "a'" * 29_000,
     "[f(a='" + "\\" * 60_000, "[f" + " " * 60_000, "[" + "f()," * 15_000, "[f(a=" + "{'a':" * 12_000,
     "[f(a=" + "[(1,)," * 10_000, '{"name":"f","parameters":{}}' + "<|python_tag|>```json " * 2_000 + "x{",
     '{"tool_calls":' * 4_000, '"arguments": "' + "[" * 60_000 + '"', "[TOOL_CALLS] []" + " " * 60_000 + "x",
     "\ud800", "[1e999999999999999999]", '[{"name": "f", "arguments": {"a": '],
)  # fmt: skip
def test_hostile_text_gets_a_fast_answer(name: str, hostile: str) -> None:
    for text in (hostile, FORMATS[name].render(ONE) + hostile, FORMATS[name].render(ONE)[:-3] + hostile):
        started = time.thread_time()
        with contextlib.suppress(NotParsable):
            FORMATS[name].parse(text)
        assert time.thread_time() - started < 0.05


class Tokenizer:
    """As much of one as vLLM's parsers ask for."""

    def get_vocab(self) -> dict[str, int]:
        return {"<|python_tag|>": 1, "<tool_call>": 2, "</tool_call>": 3}


@pytest.mark.parametrize("name", ["hermes", "llama3_json", "phi4_mini_json", "xlam", "pythonic"])
def test_well_formed_answers_read_as_in_vllm(name: str) -> None:
    pytest.importorskip("vllm")
    from rrr_workers.tasks.function_calling.vllm_parsers import VllmFormat

    theirs = VllmFormat(name, Tokenizer())
    for raw in rows("function-calling/bfcl-1000.jsonl")[::7]:
        calls = json.loads(raw["answers"])
        if name == "pythonic":  # vLLM knows a call by a name of ASCII letters without dots
            calls = [{**call, "name": re.sub("[^a-zA-Z]", "", call["name"])} for call in calls]
        text = FORMATS[name].render(calls)
        # vLLM's phi4_mini_json ends the list at the first "]", also inside an argument.
        if name != "phi4_mini_json" or "]" not in text[:-1]:
            assert theirs.parse(text, TOOLS) == FORMATS[name].parse(text), raw["id"]


@pytest.mark.parametrize("name", ["hermes", "llama3_json", "phi4_mini_json", "xlam"])
def test_arguments_are_read_as_json_text_where_vllm_does(name: str) -> None:
    pytest.importorskip("vllm")
    from rrr_workers.tasks.function_calling.vllm_parsers import VllmFormat

    theirs = VllmFormat(name, Tokenizer())
    text = FORMATS[name].render([{"name": "f", "arguments": "{}"}])
    assert re.search(r'(arguments|parameters)": "\{\}"', text)
    if name == "xlam":
        assert FORMATS[name].parse(text) == theirs.parse(text, TOOLS) == [Call("f", {})]
        return
    for parse in (FORMATS[name].parse, lambda text: theirs.parse(text, TOOLS)):
        with pytest.raises(NotParsable):
            parse(text)


def test_a_family_without_a_parser_here_goes_to_vllm() -> None:
    pytest.importorskip("vllm")
    from rrr_workers.tasks.function_calling.vllm_parsers import VllmFormat, vllm_parser_names

    assert {"hermes", "pythonic", "mistral"} <= set(vllm_parser_names())
    pythonic = VllmFormat("llama4_pythonic", Tokenizer())
    (call,) = pythonic.parse("[f(a=[1, 2], b='x')]", TOOLS)
    assert (call.name, call.arguments) == ("f", {"a": [1, 2], "b": "x"})
    assert pythonic.parse("No.", TOOLS) == []
    assert VllmFormat("hermes", Tokenizer()).needs_special_tokens
