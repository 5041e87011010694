"""The function-calling task: rows, prompts, verdicts; on real rows where they are at hand."""

import json
import random
import re
from types import SimpleNamespace
from typing import Any

import pytest

from real_data import rows
from rrr_workers.config import TaskSection
from rrr_workers.errors import UserError
from rrr_workers.tasks.base import BadRow, Verdict
from rrr_workers.tasks.function_calling.corruptions import corruptions
from rrr_workers.tasks.function_calling.task import FunctionCalling
from rrr_workers.tasks.function_calling.tool_calls import FORMATS
from rrr_workers.tasks.registry import load_task

TOOLS = [
    {"name": "f", "description": "F.", "parameters": {"a": {"type": "int"}, "b": {"type": "str, optional"}}},
    {"name": "g", "description": "G.", "parameters": {}},
]


def row(*answers: dict[str, Any], **columns: Any) -> dict[str, Any]:
    return {"query": "Do it.", "tools": json.dumps(TOOLS), "answers": json.dumps(answers), **columns}


def call(name: str, /, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


def judge(answers: list[dict[str, Any]], completion: Any, finish_reason: Any = "stop", **options: Any) -> Verdict:
    task = FunctionCalling(options)
    text = completion if isinstance(completion, str) else json.dumps(completion)
    return task.judge(task.normalise(row(*answers)), text, finish_reason)


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        (5, "5.0"),
        (5.0, "5"),
        (5, "50e-1"),
        (0, "-0.0"),
        (10**20, "1e20"),
        ("é", r'"\u00e9"'),
        ([1, {"x": [None]}], '[1.0, {"x": [null]}]'),
        ({"x": 1, "y": 2}, '{"y": 2, "x": 1}'),
    ],
)
def test_the_same_value_spelt_otherwise_passes(wanted: Any, given: str) -> None:
    completion = f'[{{"arguments": {{"a": {given}}}, "name": "f"}}]'
    assert judge([call("f", a=wanted)], completion) == Verdict(True, "passed")


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        (5, '"5"'),
        ("5", "5"),
        (1, "true"),
        (True, "1"),
        (False, "0"),
        (None, '"null"'),
        (None, "0"),
        ([1, 2], "[2, 1]"),
        ([1], "1"),
        ([], "{}"),
        ([1, True], "[1, 1]"),
        ({"x": {"y": [1, "2"]}}, '{"x": {"y": [1, 2]}}'),
        ("Paris", '"paris"'),
        (9007199254740993, "9007199254740992.0"),
        (0.1, "0.10000000000000001"),
    ],
)
def test_another_value_is_a_wrong_argument(wanted: Any, given: str) -> None:
    assert judge([call("f", a=wanted)], f'[{{"name": "f", "arguments": {{"a": {given}}}}}]').kind == "wrong_argument"


@pytest.mark.parametrize(
    ("completion", "kind"),
    [
        ("", "no_call"),
        ("I can't.", "no_call"),
        ("[]", "no_call"),
        ("The answer is [f]", "not_parsable"),
        ('{"name": "f", "arguments": {"a": 1}}', "not_parsable"),
        ('[{"name": "f", "arguments": {"a": 1}}] Done!', "not_parsable"),
        ('[{"name": "f", "arguments": {"a": 2, "a": 1}}]', "not_parsable"),
        ('[{"name": "f", "arguments": {"a": NaN}}]', "not_parsable"),
        ('[{"name": "f", "arguments": "{\\"a\\": 1}"}]', "not_parsable"),
        ('[{"name": "f"}]', "not_parsable"),
        ('[{"name": ["f"], "arguments": {}}]', "not_parsable"),
        ([call("f", a=1), call("h")], "unknown_tool"),
        ([call("g")], "wrong_tool"),
        ([call("f", a=1), call("f", a=1)], "wrong_number_of_calls"),
        ([call("f", a=1), call("g")], "wrong_number_of_calls"),
        ([call("f")], "missing_argument"),
        ([call("f", b=1)], "missing_argument"),
        ([call("f", a=1, b="")], "extra_argument"),
        ([call("f", a=2)], "wrong_argument"),
    ],
)
def test_every_kind_of_error_is_told_apart(completion: Any, kind: str) -> None:
    verdict = judge([call("f", a=1)], completion)
    assert (verdict.passed, verdict.kind) == (False, kind)
    assert kind in FunctionCalling.error_kinds


def test_duplicate_calls_are_counted() -> None:
    twice = [call("f", a=1), call("f", a=1), call("f", a=2)]
    assert judge(twice, [call("f", a=2), call("f", a=1), call("f", a=1)]).passed
    assert judge(twice, [call("f", a=2), call("f", a=2), call("f", a=1)]).kind == "wrong_argument"
    assert judge(twice, [call("f", a=2), call("f", a=1)]).kind == "wrong_number_of_calls"


def test_a_completion_cut_before_its_calls_were_complete_is_truncated() -> None:
    two = [call("f", a=1), call("g")]
    tag = "<tool_call>{}</tool_call>".format
    complete = tag(json.dumps(two[0])) + tag(json.dumps(two[1]))
    assert judge(two, "Let me think", "length").kind == "truncated"
    assert judge(two, json.dumps(two)[:-5], "length").kind == "truncated"
    assert judge(two, tag(json.dumps(two[0])), "length", format="hermes").kind == "truncated"
    assert judge(two, tag(json.dumps(two[0])), "stop", format="hermes").kind == "wrong_number_of_calls"
    assert judge(two, complete, "length", format="hermes").passed
    assert judge(two, [call("f", a=2), call("g")], "length").kind == "wrong_argument"


@pytest.mark.parametrize(
    ("call_z", "kind"),
    [({}, "passed"), ({"z": 0}, "passed"), ({"z": ""}, "wrong_argument"), ({"z": 1}, "wrong_argument")],
)
def test_an_empty_text_among_accepted_values_only_means_that_there_may_be_none(
    call_z: dict[str, Any], kind: str
) -> None:
    task = FunctionCalling({"match": "accepted"})
    query = task.normalise(row(call("f", z=0), accepted=[{"f": {"z": ["", 0]}}]))
    assert task.judge(query, json.dumps([call("f", **call_z)]), "stop").kind == kind


def test_accepted_sets_may_overlap_and_leave_arguments_out() -> None:
    task = FunctionCalling({"match": "accepted"})
    accepted = [{"f": {"a": [1, 2], "b": ["x", ""]}}, {"f": {"a": [1]}}]
    query = task.normalise(row(call("f", a=2), call("f", a=1), accepted=accepted))

    def kind(*calls: dict[str, Any]) -> str:
        return task.judge(query, json.dumps(calls), "stop").kind

    assert kind(call("f", a=1), call("f", a=2, b="x")) == "passed"
    assert kind(call("f", a=1), call("f", a=1)) == "passed"
    assert kind(call("f", a=2), call("f", a=2)) == "wrong_argument"
    assert kind(call("f", a=1), call("f", a=3)) == "wrong_argument"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"query": "  "}, "query must be a text"),
        ({"tools": "[{"}, "tools aren't JSON"),
        ({"tools": "[]"}, "tools must be a list"),
        ({"tools": '[{"name": 1}]'}, "a tool without a name"),
        ({"tools": [{"name": "f", "parameters": {"a": float("nan")}}]}, "NaN isn't JSON"),
        ({"tools": '[{"name": "f", "parameters": [1]}]'}, "parameters of tool 'f'"),
        ({"answers": None}, "answers is missing"),
        ({"answers": "f(a=1)"}, "answers: Expecting value"),
        ({"answers": "[]"}, "nothing to verify"),
        ({"answers": '[{"name": "f"}]'}, "arguments are no object"),
        ({"answers": [call("h")]}, "a tool that isn't offered: 'h'"),
    ],
)
def test_a_bad_row_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRow, match=message.replace("(", r"\(")):
        FunctionCalling().normalise({**row(call("f", a=1)), **changes})


@pytest.mark.parametrize(
    ("accepted", "message"),
    [
        (None, "accepted is missing"),
        ("[{]", "accepted isn't JSON"),
        ('[{"f": {"a": 1}}]', "needs a list of values"),
        ('[{"f": {"a": [{"x": 1}]}}]', "needs a list of values"),
        ('[{"f": {"a": [2]}}]', "accepted doesn't accept the answers: wrong_argument"),
    ],
)
def test_bad_accepted_sets_are_named(accepted: str | None, message: str) -> None:
    with pytest.raises(BadRow, match=message):
        FunctionCalling({"match": "accepted"}).normalise(row(call("f", a=1), accepted=accepted))


def test_tools_and_calls_of_openais_shape_are_read() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    function = {"name": "f", "description": "F.", "parameters": schema}
    tools = [{"type": "function", "function": function}]
    task = FunctionCalling()
    calls = [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 9007199254740993.0}'}}]
    for answers in (calls, json.dumps(calls), {"tool_calls": calls}, [calls[0]["function"]]):
        query = task.normalise({"query": "Do it.", "tools": tools, "answers": answers})
        assert query.fields["tools"] == [function]
        assert query.fields["answers"] == '[{"name": "f", "arguments": {"a": 9007199254740993.0}}]'
        assert task.judge(query, '[{"name": "f", "arguments": {"a": 9007199254740993}}]', "stop").passed
    # What has no such shape is left as it is, to the last character.
    plain = '[ {"name":"f","arguments":{"a": "\\"function\\""}} ]'
    assert task.normalise({"query": "Do it.", "tools": tools, "answers": plain}).fields["answers"] == plain
    with pytest.raises(BadRow, match=r"the arguments of a call are text, and no JSON: .*, got 'a=1'"):
        task.normalise(
            {"query": "Do it.", "tools": tools, "answers": [{"function": {"name": "f", "arguments": "a=1"}}]}
        )
    with pytest.raises(BadRow, match="a call whose arguments are no object"):
        task.normalise(row({"name": "f", "arguments": "5"}))


def test_the_same_request_in_another_guise_stays_on_its_side_of_the_split() -> None:
    task = FunctionCalling()
    one = task.normalise(row(call("f", a=1)))
    other = task.normalise({**row(call("f", a=2)), "query": " do  IT. ", "tools": TOOLS[::-1]})
    assert one.split_key == other.split_key
    assert one.id != other.id


def test_tools_go_through_the_chat_template_where_it_knows_them_and_into_the_question_where_not() -> None:
    task = FunctionCalling()
    query = task.normalise(row(call("f", a=1)))
    assert task.tools(query) is None
    assert '"name": "f"' in task.prompts.question.format_map(task.prompt_fields(query))
    task.use_tokenizer(
        SimpleNamespace(chat_template="{% if tools %}<tool_call>{% endif %}", all_special_tokens=["<eos>"])
    )
    assert task.format_name == "hermes"
    assert task.skip_special_tokens
    assert task.prompts.question.format_map(task.prompt_fields(query)) == "Do it."
    tools = task.tools(query)
    assert tools is not None
    assert tools[0]["function"]["parameters"] == {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "string"}},
        "required": ["a"],
    }


def test_a_format_that_is_not_the_templates_is_asked_for_in_the_question() -> None:
    tokenizer = SimpleNamespace(chat_template="{{ tools }}<tool_call>", all_special_tokens=["<tool_call>"])
    task = FunctionCalling({"format": "json"})
    task.use_tokenizer(tokenizer)
    query = task.normalise(row(call("f", a=1)))
    assert task.tools(query) is None
    assert "JSON list" in task.prompt_fields(query)["preamble"]
    hermes = FunctionCalling()
    hermes.use_tokenizer(tokenizer)
    assert not hermes.skip_special_tokens


def test_a_parser_of_vllms_needs_the_tokenizer() -> None:
    pytest.importorskip("vllm")
    with pytest.raises(UserError, match="mistral needs the model's tokenizer"):
        judge([call("f", a=1)], "", format="mistral")


def test_an_unknown_format_names_the_known_ones() -> None:
    pytest.importorskip("vllm")
    section = TaskSection(name="function_calling", options={"format": "hermess"}, prompts={})
    with pytest.raises(UserError, match=r"task.options.format.*auto, json, hermes.*mistral"):
        load_task(section)


def test_generated_rows_are_good_distinct_and_reproducible() -> None:
    task = FunctionCalling()
    made = list(task.generate(300, seed=1))
    assert made == list(task.generate(300, seed=1))
    queries = [task.normalise(item) for item in made]
    assert len({query.id for query in queries}) == 300
    for query in queries:
        answer = task.reference_answer(query)
        assert answer is not None
        assert task.judge(query, answer, "stop").passed


REAL = [
    ("function-calling/bfcl-1000.jsonl", {"match": "accepted"}, 1000),
    # Two rows answer with tools that they do not offer.
    ("function-calling/rlla-393.jsonl", {"match": "exact", "offered_only": False}, 393),
]


def shuffled(rng: random.Random, value: Any) -> Any:
    """``value`` with the keys of every object in another order."""
    if isinstance(value, list):
        return [shuffled(rng, item) for item in value]
    if isinstance(value, dict):
        return {key: shuffled(rng, value[key]) for key in rng.sample(list(value), len(value))}
    return value


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize(("path", "options", "count"), REAL)
def test_real_references_pass_in_any_order(path: str, options: dict[str, Any], count: int, format_name: str) -> None:
    task = FunctionCalling({**options, "format": format_name})
    rng = random.Random(0)
    data = rows(path)
    assert len(data) == count
    for raw in data:
        query = task.normalise(raw)
        calls = json.loads(raw["answers"])
        if task.reference_answer(query) is None:  # a name that no Python list can hold
            assert format_name == "pythonic"
            names = [name for call in calls for name in (call["name"], *call["arguments"])]
            assert any(re.search(r"[][(){}'\",=]", name) for name in names)
            continue
        for answer in (calls, shuffled(rng, rng.sample(calls, len(calls)))):
            assert task.judge(query, FORMATS[format_name].render(answer), "stop") == Verdict(True, "passed"), raw["id"]


@pytest.mark.parametrize(("path", "options", "count"), REAL)
def test_real_references_corrupted_fail_with_the_right_kind(path: str, options: dict[str, Any], count: int) -> None:
    task = FunctionCalling(options)
    seen = set()
    for raw in rows(path):
        query = task.normalise(raw)
        for completion, kind in corruptions(query.fields, FORMATS["json"]):
            assert task.judge(query, completion, "stop").kind == kind, (raw["id"], completion)
            seen.add(kind)
        cut = FORMATS["json"].render(json.loads(raw["answers"]))[:-1]
        assert task.judge(query, cut, "length").kind == "truncated"
    assert {*seen, "truncated"} == set(FunctionCalling.error_kinds)
