"""Which format a model's calls are read in, whether their marks stay in the text, and where the tools are shown."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from rrr_workers.roles.sampler import SamplingRole
from rrr_workers.tasks.countdown.task import Countdown
from rrr_workers.tasks.function_calling.task import FunctionCalling
from rrr_workers.tasks.function_calling.template_format import detect_format, shows_tools
from rrr_workers.tasks.function_calling.tool_calls import FORMATS
from rrr_workers.tasks.loaded import LoadedTask

#: Those whose calls are JSON.
JSON_FORMATS = [name for name in FORMATS if name != "pythonic"]
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
        ("{{ tools }} <tool_call> make calls in a single JSON array", "xlam"),
        ("{{ tools }} <|python_tag|> [func_name1(params_name1=params_value1, ...", "pythonic"),
        ("{{ message['tools'] }} <|tool|> <|/tool|>", "phi4_mini"),
        ("{{ message['tools'] }} <|/tool|> functools", "phi4_mini_json"),
        ("{{ tools }}", "json"),
        ("{{ messages }}", "json"),
        (None, "json"),
        ("<tool_call>", "json"),  # calls, but no tools
        ("", "json"),
    ],
)
def test_the_most_telling_mark_decides(template: str | None, name: str) -> None:
    assert detect_format(template).name == name


#: As the families' own templates write it, shortened.
FAMILIES = {
    # Qwen2.5, Hermes
    "hermes": (
        "{%- if tools %}{{- '# Tools' }}{%- for tool in tools %}{{- tool | tojson }}{%- endfor %}"
        "{{- 'return a json object within <tool_call></tool_call> XML tags' }}{%- endif %}"
    ),
    # Llama 3.1 and 3.2
    "llama3_json": (
        "{%- if custom_tools is defined %}{%- set tools = custom_tools %}{%- endif %}{{- 'Respond in the format "
        '{"name": function name, "parameters": dictionary of argument name and its value}.'
        "' }}{%- for t in tools %}{{- t | tojson(indent=4) }}{%- endfor %}"
    ),
    # Llama 3.2 and 4 as vLLM serves them, ToolACE
    "pythonic": (
        "{%- if tools is not none %}{{- 'Respond in the format [func_name1(params_name1=params_value1, "
        "params_name2=params_value2...), func_name2(params)] ' }}{%- for t in tools %}{{- t | tojson }}{%- endfor %}"
        "{%- endif %}<|python_tag|>"
    ),
    # xLAM-2
    "xlam": (
        "{%- if tools is not none %}You have access to a set of tools. When using tools, make calls in a single JSON "
        "array: {%- for t in tools %}{{- t | tojson }}{%- endfor %}{%- endif %}"
        "{%- for m in messages %}{%- if 'tool_calls' in m %}[{%- endif %}{%- endfor %}"
    ),
    # Phi-4-mini as vLLM serves it
    "phi4_mini_json": (
        "{%- if tools %}prefix function calls with functools marker{%- for t in tools %}{{ t | tojson }}{%- endfor %}"
        "{%- endif %}"
    ),
    # Phi-4-mini itself: it takes tools with a system message alone
    "phi4_mini": (
        "{% for message in messages %}{% if message['role'] == 'system' and 'tools' in message and message['tools'] is "
        "not none %}{{ message['content'] + '<|tool|>' + message['tools'] + '<|/tool|>' }}{% endif %}{% endfor %}"
    ),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_is_told_from_its_template(name: str) -> None:
    made = task(FAMILIES[name])
    assert made.format_name == name
    query = made.normalise(ROW)
    assert (made.tools(query) is not None) == (name != "phi4_mini")
    assert ("These tools" in made.prompt_fields(query)["preamble"]) == (name == "phi4_mini")


@pytest.mark.parametrize(
    ("template", "shows"),
    [
        ("{{ tools }}", True),
        ("{%- for tool in tools %}", True),
        ("{{tools|tojson}}", True),
        ("{{ message.tools }} {{ message['tools'] }} {{ message[\"tools\"] }} {{ 'tools' in message }}", False),
        ("{{ custom_tools }} {{ tools_in_user_message }}", False),
        ("{{ messages }}", False),
        ("", False),
        (None, False),
    ],
)
def test_a_template_shows_the_tools_that_it_is_given(template: str | None, shows: bool) -> None:
    assert shows_tools(template) == shows


def test_a_run_tells_the_format_and_why() -> None:
    (detected,) = task("{{ tools }} <tool_call>").run_notes()
    assert detected == "calls are read as hermes: the chat template has '<tool_call>'"
    assert task("{{ messages }}").run_notes() == ["calls are read as json: the chat template knows no tools"]
    (unknown,) = task("{{ tools }}").run_notes()
    assert unknown == "calls are read as json: the chat template writes calls in no way that is known here"
    (by_hand,) = task("{{ tools }} <tool_call>", format="xlam").run_notes()
    assert by_hand == "calls are read as xlam: task.options.format says so"
    (endpoint,) = FunctionCalling().run_notes()
    assert endpoint.startswith("calls are read as json: the model's chat template is not at hand")


def test_a_worker_says_it_when_it_is_ready() -> None:
    made = task("{{ tools }} <tool_call>")
    config: Any = None
    engine: Any = SimpleNamespace(info=lambda: {"engine": "vllm"})
    assert SamplingRole(config, LoadedTask(made, made), engine).info() == {
        "engine": "vllm",
        "task": "function_calling",
        "task_notes": ["calls are read as hermes: the chat template has '<tool_call>'"],
    }
    assert SamplingRole(config, LoadedTask(Countdown(), Countdown()), engine).info()["task_notes"] == []


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
        ("phi4_mini_json", "<|tool_call|>", False),
        ("phi4_mini", "<|/tool_call|>", False),
        ("pythonic", "<|python_start|>", True),
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


@pytest.mark.parametrize("name", JSON_FORMATS)
def test_a_call_needs_a_name_and_an_object_of_arguments(name: str) -> None:
    made = task(None, format=name)
    query = made.normalise(ROW)
    right = FORMATS[name].render(ROW["answers"])  # type: ignore[arg-type]
    assert made.judge(query, right, "stop").passed
    for wrong in (
        right.replace('"name"', '"nome"'),
        right.replace('"f"', "7"),
        right.replace('{"a": 1}', "[1]"),
        right.replace('{"a": 1}', '"{"' if name == "xlam" else '"{}"'),
        right.replace('"arguments"', '"args"').replace('"parameters"', '"args"'),
    ):
        assert wrong != right
        assert made.judge(query, wrong, "stop").kind == "not_parsable", wrong


@pytest.mark.parametrize("name", JSON_FORMATS)
def test_other_keys_of_a_call_are_ignored(name: str) -> None:
    made = task(None, format=name)
    more = FORMATS[name].render(ROW["answers"]).replace('{"name"', '{"id": 7, "name"')  # type: ignore[arg-type]
    assert made.judge(made.normalise(ROW), more, "stop").passed


def test_parameters_are_arguments_where_the_family_writes_them_so() -> None:
    text = '[{"name": "f", "parameters": {"a": 1}}]'
    for name, written in (
        ("llama3_json", text[1:-1]),
        ("phi4_mini_json", f"functools{text}"),
        ("phi4_mini", f"<|tool_call|>{text}<|/tool_call|>"),
    ):
        made = task(None, format=name)
        assert made.judge(made.normalise(ROW), written, "stop").passed
    for name, written in (("json", text), ("xlam", text), ("hermes", f"<tool_call>{text[1:-1]}</tool_call>")):
        made = task(None, format=name)
        assert made.judge(made.normalise(ROW), written, "stop").kind == "not_parsable"
