"""Call formats: what each accepts, and that they read well-formed answers as vLLM's own parsers do."""

import contextlib
import json
import time
from typing import Any

import pytest

from real_data import rows
from rrr_workers.tasks.function_calling.tool_calls import FORMATS, NotParsable, detect_format
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
        ("xlam", '[TOOL_CALLS] [{"name": "f", "arguments": {}}]'),
        ("xlam", '<tool_call>[{"name": "f", "arguments": {}}]</tool_call>'),
    ],
)
def test_ways_to_write_a_call(name: str, text: str) -> None:
    assert parsed(name, text) == [{"name": "f", "arguments": {}}]


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
        ("xlam", '<tool_call>{"name": "f", "arguments": {}}</tool_call>'),
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
     '{"name":"f","parameters":{}};' * 2_000, "\ud800", "[1e999999999999999999]", '[{"name": "f", "arguments": {"a": '],
)  # fmt: skip
def test_hostile_text_gets_a_fast_answer(name: str, hostile: str) -> None:
    for text in (hostile, FORMATS[name].render(ONE) + hostile, FORMATS[name].render(ONE)[:-3] + hostile):
        started = time.thread_time()
        with contextlib.suppress(NotParsable):
            FORMATS[name].parse(text)
        assert time.thread_time() - started < 0.05


@pytest.mark.parametrize(
    ("template", "name"),
    [
        (None, "json"),
        ("{{ messages }}", "json"),
        ("{{ tools }} {{ messages }}", "json"),
        ("{{ tools }} <tool_call>", "hermes"),
        ("{{ tools }} <tool_call> <function=", "qwen3_coder"),
        ("{{ tools }} [TOOL_CALLS]", "mistral"),
        ("{{ tools }} functools[", "phi4_mini_json"),
        ("{{ tools }} <|python_tag|>", "llama3_json"),
    ],
)
def test_the_format_is_told_from_the_chat_template(template: str | None, name: str) -> None:
    assert detect_format(template) == name


class Tokenizer:
    """As much of one as vLLM's parsers ask for."""

    def get_vocab(self) -> dict[str, int]:
        return {"<|python_tag|>": 1, "<tool_call>": 2, "</tool_call>": 3}


@pytest.mark.parametrize("name", ["hermes", "llama3_json", "phi4_mini_json", "xlam"])
def test_well_formed_answers_read_as_in_vllm(name: str) -> None:
    pytest.importorskip("vllm")
    from rrr_workers.tasks.function_calling.vllm_parsers import VllmFormat

    theirs = VllmFormat(name, Tokenizer())
    for raw in rows("function-calling/bfcl-1000.jsonl")[::7]:
        calls = json.loads(raw["answers"])
        text = FORMATS[name].render(calls)
        # vLLM's phi4_mini_json ends the list at the first "]", also inside an argument.
        if name != "phi4_mini_json" or "]" not in text[:-1]:
            assert theirs.parse(text, TOOLS) == FORMATS[name].parse(text), raw["id"]


def test_a_family_without_a_parser_here_goes_to_vllm() -> None:
    pytest.importorskip("vllm")
    from rrr_workers.tasks.function_calling.vllm_parsers import VllmFormat, vllm_parser_names

    assert {"hermes", "pythonic", "mistral"} <= set(vllm_parser_names())
    pythonic = VllmFormat("pythonic", Tokenizer())
    (call,) = pythonic.parse("[f(a=[1, 2], b='x')]", TOOLS)
    assert (call.name, call.arguments) == ("f", {"a": [1, 2], "b": "x"})
    assert pythonic.parse("No.", TOOLS) == []
    assert VllmFormat("hermes", Tokenizer()).needs_special_tokens
