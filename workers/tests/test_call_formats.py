"""Which format a model's calls are read in, whether their marks stay in the text, and where the tools are shown."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from rrr_workers.tasks.function_calling.task import FunctionCalling
from rrr_workers.tasks.function_calling.tool_calls import FORMATS, detect_format

ROW = {
    "query": "Do it.",
    "tools": [{"name": "f", "parameters": {"a": {"type": "int"}}}],
    "answers": [{"name": "f", "arguments": {"a": 1}}],
}


def task(template: Any, *special: str, **options: Any) -> FunctionCalling:
    made = FunctionCalling(options)
    made.use_tokenizer(SimpleNamespace(chat_template=template, all_special_tokens=[*special]))
    return made


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{{ tools }} functools <tool_call> <function=", "phi4_mini_json"),
        ("{{ tools }} <tool_call> [TOOL_CALLS] <function=", "qwen3_coder"),
        ("{{ tools }} [TOOL_CALLS] <tool_call>", "hermes"),
        ("{{ tools }} <|python_tag|> [TOOL_CALLS]", "mistral"),
        ('{{ tools }} "parameters": dictionary of argument name and its value', "llama3_json"),
        ("<tool_call>", "json"),  # calls, but no tools
        ("", "json"),
    ],
)
def test_the_most_telling_mark_decides(template: str, name: str) -> None:
    assert detect_format(template) == name


def test_of_several_templates_the_one_for_tools_decides() -> None:
    hermes, plain = "{{ tools }} <tool_call>", "{{ messages }}"
    assert task({"default": plain, "tool_use": hermes}).format_name == "hermes"
    assert task({"default": hermes, "rag": plain}).format_name == "hermes"
    assert task({"rag": hermes}).format_name == "json"


@pytest.mark.parametrize(
    ("name", "special", "skipped"),
    [
        ("hermes", "<tool_call>", False),
        ("hermes", "</tool_call>", False),
        ("hermes", "[TOOL_CALLS]", True),
        ("xlam", "[TOOL_CALLS]", False),
        ("json", "<tool_call>", True),
        ("llama3_json", "<|python_tag|>", True),
        ("phi4_mini_json", "functools", True),
    ],
)
def test_special_tokens_stay_where_they_are_marks_of_the_format(name: str, special: str, skipped: bool) -> None:
    assert task("{{ tools }}", "<eos>", special, format=name).skip_special_tokens is skipped
    assert task("{{ tools }}", "<eos>", format=name).skip_special_tokens


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("template", ["{{ tools }}", "{{ messages }}", None])
def test_tools_are_shown_once(name: str, template: str | None) -> None:
    made = task(template, format=name)
    query = made.normalise(ROW)
    fields = made.prompt_fields(query)
    by_template = template == "{{ tools }}" and name != "json"
    assert (made.tools(query) is not None) == by_template
    assert (fields["preamble"] == "") == by_template
    if not by_template:
        assert json.dumps(ROW["tools"][0]) in fields["preamble"]  # type: ignore[index]
        assert FORMATS[name].instruction in fields["preamble"]


@pytest.mark.parametrize("name", FORMATS)
def test_a_call_needs_a_name_and_an_object_of_arguments(name: str) -> None:
    made = task(None, format=name)
    query = made.normalise(ROW)
    right = FORMATS[name].render(ROW["answers"])  # type: ignore[arg-type]
    assert made.judge(query, right, "stop").passed
    for wrong in (
        right.replace('"name"', '"nome"'),
        right.replace('"f"', "7"),
        right.replace('{"a": 1}', "[1]"),
        right.replace('{"a": 1}', '"{}"'),
        right.replace('"arguments"', '"args"').replace('"parameters"', '"args"'),
    ):
        assert wrong != right
        assert made.judge(query, wrong, "stop").kind == "not_parsable", wrong


@pytest.mark.parametrize("name", FORMATS)
def test_other_keys_of_a_call_are_ignored(name: str) -> None:
    made = task(None, format=name)
    more = FORMATS[name].render(ROW["answers"]).replace('{"name"', '{"id": 7, "name"')  # type: ignore[arg-type]
    assert made.judge(made.normalise(ROW), more, "stop").passed


def test_parameters_are_arguments_where_the_family_writes_them_so() -> None:
    text = '[{"name": "f", "parameters": {"a": 1}}]'
    for name, written in (("llama3_json", text[1:-1]), ("phi4_mini_json", f"functools{text}")):
        made = task(None, format=name)
        assert made.judge(made.normalise(ROW), written, "stop").passed
    for name, written in (("json", text), ("xlam", text), ("hermes", f"<tool_call>{text[1:-1]}</tool_call>")):
        made = task(None, format=name)
        assert made.judge(made.normalise(ROW), written, "stop").kind == "not_parsable"
