"""``match: bfcl``: BFCL's published rules, in a table, on its rows and, where it is installed, beside its own checker.

The last needs no dependency of the package, only its files:

    pip install --no-deps --target DIR bfcl-eval==2026.3.23
    PYTHONPATH=DIR pytest tests/test_bfcl.py
"""

import json
import random
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from real_data import rows
from rrr_workers.tasks.base import BadRow, Verdict
from rrr_workers.tasks.function_calling.task import FunctionCalling
from rrr_workers.tasks.function_calling.tool_schema import declared_types

BFCL = FunctionCalling({"match": "bfcl"})
ACCEPTED = FunctionCalling({"match": "accepted"})


def judge(given: Any, accepted: list[Any], declared: str, task: FunctionCalling = BFCL) -> str:
    """The kind for the one argument ``given``, as JSON text, of a parameter of the type ``declared``."""
    answer = next((value for value in accepted if value != ""), None)
    row = {
        "query": "?",
        "tools": [{"name": "f", "parameters": {"a": {"type": declared}}}],
        "answers": [{"name": "f", "arguments": {"a": as_given(answer)}}],
        "accepted": [{"f": {"a": accepted}}],
    }
    completion = f'[{{"name": "f", "arguments": {{"a": {given}}}}}]'
    return task.judge(task.normalise(row), completion, "stop").kind


def as_given(alternative: Any) -> Any:
    """A value that the alternative accepts: in its objects are sets of values."""
    if isinstance(alternative, dict):
        return {key: as_given(options[0]) for key, options in alternative.items()}
    return [as_given(each) for each in alternative] if isinstance(alternative, list) else alternative


@pytest.mark.parametrize(
    ("declared", "accepted", "given", "in_bfcl", "in_accepted"),
    [
        # Text: without case, blanks and , . / - _ * ^, and ' is "
        ("str", ["New York, NY"], '"New York, NY"', True, True),
        ("str", ["New York, NY"], '"new york ny"', True, False),
        ("str", ["New York, NY"], '"NewYork-N.Y."', True, False),
        ("str", ["2024-04-01"], '"2024/04/01"', True, False),
        ("str", ["x**2"], '"x^2"', True, False),
        ("str", ["it's"], '"IT\\"S"', True, False),
        ("str", ["New York"], '"New\\nYork"', False, False),  # a blank is no other space
        ("str", ["New York"], '"New York!"', False, False),
        ("str", ["New York"], '"York New"', False, False),
        ("str", ["5"], "5", False, False),
        ("any", ["Paris"], '"paris"', True, False),
        # Numbers and their types
        ("int", [5], "5", True, True),
        ("int", [5], "5.0", False, True),
        ("int", [5], '"5"', False, False),
        ("int", [1], "true", False, False),
        ("float", [5.0], "5", True, True),
        ("float", [5], "5.0", True, True),
        ("float", [0.1], "0.10000000000000001", True, False),
        ("float", [0.5], "true", False, False),
        ("bool", [True], "1", False, False),
        ("bool", [True], '"true"', False, False),
        ("int", ["n"], '"n"', True, True),  # a variable
        ("int", ["n"], '"N"', False, False),  # is compared as it is
        ("str", [5, "New York"], '"New York"', True, True),
        ("str", [5, "New York"], '"new york"', False, False),
        # Lists
        ("List[str]", [["Paris", "New York"]], '["paris", "new-york"]', True, False),
        ("List[str]", [["Paris"]], '["Paris", "Paris"]', False, False),
        ("List[str]", [["a", "b"]], '["b", "a"]', False, False),
        ("List[int]", [[1, 2]], "[1, 2]", True, True),
        ("List[int]", [[1, 2]], "[1.0, 2]", False, True),
        ("List[float]", [[1.0, 2.5]], "[1, 2.5]", False, True),
        ("List[float]", [[1, 2]], "[1.0, 2]", True, True),
        ("List[int]", [[1], [2]], "[2]", True, True),
        ("List[list]", [[["a"]]], '[["A"]]', False, False),  # what lies deeper is compared as it is
        # Objects
        ("dict", [{"x": ["Oslo", "Bergen"], "y": [1, ""]}], '{"x": "bergen."}', True, False),
        ("dict", [{"x": ["Oslo"], "y": [1, ""]}], '{"x": "Oslo", "y": 2}', False, False),
        ("dict", [{"x": ["Oslo"], "y": [1]}], '{"x": "Oslo"}', False, False),
        ("dict", [{"x": ["Oslo"]}], '{"x": "Oslo", "z": 1}', False, False),
        ("List[dict]", [[{"x": ["Oslo"]}, {"x": [1]}]], '[{"x": "oslo"}, {"x": 1}]', True, False),
        ("List[dict]", [[{"x": ["Oslo"]}, {"x": [1]}]], '[{"x": 1}, {"x": "Oslo"}]', False, False),
        # An empty text among the accepted values accepts one, and an empty list
        ("str, optional", ["Oslo", ""], '""', True, False),
        ("str, optional", ["Oslo", ""], '" - "', True, False),
        ("List[int], optional", [[1], ""], "[]", True, False),
        ("int, optional", [1, ""], '""', False, False),
        # A type that nobody declares is that of the first accepted value
        ("", [5], "5", True, True),
        ("", [5], "5.0", False, True),
        ("Callable", ["f"], '"F"', True, False),
    ],
)
def test_rules(declared: str, accepted: list[Any], given: str, in_bfcl: bool, in_accepted: bool) -> None:
    assert judge(given, accepted, declared) == ("passed" if in_bfcl else "wrong_argument")
    assert judge(given, accepted, declared, ACCEPTED) == ("passed" if in_accepted else "wrong_argument")


TOOLS = [{"name": "f", "parameters": {"a": {"type": "int"}, "b": {"type": "int, optional"}, "c": {"type": "int"}}}]


def kind(accepted: list[dict[str, Any]], *given: dict[str, Any]) -> str:
    calls = [{name: {key: next(v for v in values if v != "") for key, values in arguments.items()}
              for name, arguments in each.items()} for each in accepted]  # fmt: skip
    answers = [{"name": name, "arguments": arguments} for call in calls for name, arguments in call.items()]
    query = BFCL.normalise({"query": "?", "tools": TOOLS, "answers": answers, "accepted": accepted})
    return BFCL.judge(query, json.dumps([{"name": "f", "arguments": each} for each in given]), "stop").kind


def test_what_may_be_left_out() -> None:
    accepted = [{"f": {"a": [1, ""], "b": [2, ""], "c": [3]}}]
    assert kind(accepted, {"a": 1, "b": 2, "c": 3}) == "passed"
    assert kind(accepted, {"a": 1, "c": 3}) == "passed"
    assert kind(accepted, {"b": 2, "c": 3}) == "missing_argument"  # the tool requires it
    assert kind(accepted, {"a": 1, "b": 2}) == "missing_argument"
    assert kind(accepted, {"a": 1, "b": 2, "c": 3, "d": 4}) == "extra_argument"


def test_a_parameter_that_the_tool_does_not_declare_can_not_be_given() -> None:
    accepted = [{"f": {"a": [1], "z": [5, ""]}}]
    assert kind(accepted, {"a": 1}) == "passed"
    assert kind(accepted, {"a": 1, "z": 5}) == "extra_argument"
    assert kind([{"f": {"a": [1], "z": [5]}}], {"a": 1, "z": 5}) == "wrong_argument"


def test_each_reference_takes_the_first_call_that_fits() -> None:
    accepted = [{"f": {"a": [1, 2]}}, {"f": {"a": [1]}}]
    assert kind(accepted, {"a": 2}, {"a": 1}) == "passed"
    # Another order of pairing would do, but BFCL tries one.
    assert kind(accepted, {"a": 1}, {"a": 2}) == "wrong_argument"
    assert kind(accepted, {"a": 1}) == "wrong_number_of_calls"


def test_types_are_told_from_both_shapes_of_a_tool() -> None:
    flat = {
        "a": {"type": "int"},
        "b": {"type": "List[str], optional"},
        "c": {"type": "Optional[float]"},
        "d": {"type": "tuple", "default": 1},
        "e": {},
    }
    assert declared_types({"name": "f", "parameters": flat}) == {
        "a": ("int", None, True),
        "b": ("list", "str", False),
        "c": ("float", None, False),
        "d": ("tuple", None, True),  # BFCL requires some that have a default
        "e": (None, None, True),
    }
    properties = {"a": {"type": "integer"}, "b": {"type": "array", "items": {"type": "string"}}, "c": {}}
    schema = {"type": "object", "properties": properties, "required": ["a", "c"]}
    assert declared_types({"name": "f", "parameters": schema}) == {
        "a": ("integer", None, True),
        "b": ("array", "string", False),
        "c": (None, None, True),
    }
    assert declared_types({"name": "f"}) == {}


def test_a_row_without_accepted_values_is_a_bad_row() -> None:
    row = {"query": "?", "tools": TOOLS, "answers": [{"name": "f", "arguments": {}}]}
    with pytest.raises(BadRow, match="accepted is missing"):
        BFCL.normalise(row)


def test_real_references_pass_and_corrupted_ones_fail_with_the_right_kind() -> None:
    left_out = []
    for raw in rows("function-calling/bfcl-1000.jsonl"):
        query = BFCL.normalise(raw)
        reference = BFCL.reference_answer(query)
        if reference is None:
            left_out.append(raw["id"])
            assert list(BFCL.corruptions(query)) == []
            completion = json.dumps(json.loads(raw["answers"]))
            assert BFCL.judge(query, completion, "stop").kind == "missing_argument"
            continue
        assert BFCL.judge(query, reference, "stop") == Verdict(True, "passed"), raw["id"]
        for completion, expected in BFCL.corruptions(query):
            assert BFCL.judge(query, completion, "stop").kind == expected, (raw["id"], completion)
    # Whose answers leave out a parameter that their tool requires: BFCL lets nobody do so.
    assert len(left_out) == 5


def test_bfcls_own_checker_gives_the_same_verdicts(monkeypatch: pytest.MonkeyPatch) -> None:
    package = pytest.importorskip("bfcl_eval")
    models = types.ModuleType("bfcl_eval.constants.model_config")  # the real one imports the client of every model
    models.MODEL_CONFIG_MAPPING = {"any": types.SimpleNamespace(underscore_to_dot=False)}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, models.__name__, models)
    from bfcl_eval.constants.enums import Language  # type: ignore[import-not-found]
    from bfcl_eval.eval_checker.ast_eval.ast_checker import ast_checker  # type: ignore[import-not-found]

    original = bfcl_rows(Path(package.__file__).parent / "data")
    rng = random.Random(0)
    passed = 0
    for raw in rows("function-calling/bfcl-1000.jsonl") * 5:
        functions, truth = original[raw["id"]]
        calls = near_misses(rng, truth)
        answer = json.dumps([{"name": name, "arguments": arguments} for name, arguments in calls])
        category = raw["id"].rsplit("_", 1)[0]
        theirs = ast_checker(functions, [dict([call]) for call in calls], truth, Language.PYTHON, category, "any")
        ours = BFCL.judge(BFCL.normalise(raw), answer, "stop")
        assert ours.passed == theirs["valid"], (raw["id"], calls, truth, ours, theirs)
        passed += ours.passed
    assert 1000 < passed < 4000


def bfcl_rows(folder: Path) -> dict[str, tuple[Any, Any]]:
    """(functions, accepted calls) of each row by its id."""
    functions, truths = ({}, {})  # type: dict[str, Any], dict[str, Any]
    for name in ("simple_python", "multiple", "parallel", "parallel_multiple"):
        file = f"BFCL_v4_{name}.json"
        functions |= {row["id"]: row["function"] for row in map(json.loads, (folder / file).open())}
        truths |= {
            row["id"]: row["ground_truth"] for row in map(json.loads, (folder / "possible_answer" / file).open())
        }
    return {key: (functions[key], truths[key]) for key in functions}


def near_misses(rng: random.Random, truth: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    calls = []
    for call in truth:
        ((name, accepted),) = call.items()
        arguments = {}
        for key, options in accepted.items():
            value = drawn(rng, options)
            if value == "" and rng.random() < 0.8:
                continue
            arguments[key] = changed(rng, value) if rng.random() < 0.2 else value
        if rng.random() < 0.05 and arguments:
            del arguments[rng.choice(list(arguments))]
        calls.append((name, arguments))
    rng.shuffle(calls)
    return calls[1:] if rng.random() < 0.02 else calls


def drawn(rng: random.Random, options: list[Any]) -> Any:
    option = rng.choice(options)
    if isinstance(option, dict):
        return {key: drawn(rng, values) for key, values in option.items() if "" not in values or rng.random() < 0.8}
    return (
        [drawn(rng, [item]) if isinstance(item, dict) else item for item in option]
        if isinstance(option, list)
        else option
    )


def changed(rng: random.Random, value: Any) -> Any:
    if isinstance(value, bool):
        return rng.choice([not value, int(value), str(value)])
    if isinstance(value, int | float):
        return rng.choice([float(value), int(value), value + 1, str(value), value + 1e-17, None, [value]])
    if isinstance(value, str):
        bare = value.replace(" ", "").replace(",", "")
        return rng.choice(
            [value.upper(), bare, value + ".", value.replace("-", "_"), value + "x", value + "\n", "", 0, [value]]
        )
    if isinstance(value, list) and value:
        items = [changed(rng, item) if rng.random() < 0.5 else item for item in value]
        return rng.choice([items, items, items[::-1], items[:-1], [*items, items[-1]], [], items[0]])
    if isinstance(value, dict) and value:
        key = rng.choice(list(value))
        return rng.choice([{**value, key: changed(rng, value[key])}, {**value, "zz": 1}, {}])
    return value
