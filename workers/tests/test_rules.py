"""The rule sheet of the verifiers says what they do: its tables are run."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rrr_workers.tasks
from rrr_workers.tasks.base import Query
from rrr_workers.tasks.bounded_json import MAX_CHARS, MAX_DEPTH
from rrr_workers.tasks.countdown import notation
from rrr_workers.tasks.countdown.answer import MOST_SEARCHED
from rrr_workers.tasks.countdown.expression import MAX_LENGTH
from rrr_workers.tasks.countdown.task import Countdown
from rrr_workers.tasks.function_calling import pythonic
from rrr_workers.tasks.function_calling.task import FunctionCalling
from rrr_workers.tasks.function_calling.template_format import detect_format
from rrr_workers.tasks.function_calling.tool_calls import FORMATS, MAX_CALLS

SHEET = Path(rrr_workers.tasks.__file__).with_name("RULES.md").read_text()
CALL = '{"name": "f", "arguments": {"a": 1}}'


def tables() -> Iterator[tuple[list[str], list[list[str]]]]:
    """(cells of the header, cells of each row) of every table."""
    for block in re.findall(r"(?:^\|.*\n)+", SHEET, re.MULTILINE):
        header, _, *lines = [
            [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            for line in block.splitlines()
        ]
        yield header, lines


def bare(cell: str) -> str:
    """What stands in the cell's code marks."""
    found = re.fullmatch(r"(`+) ?(.*?) ?\1", cell)
    assert found, cell
    return found[2].replace("⏎", "\n")


def table(*header: str) -> list[list[str]]:
    (lines,) = [lines for found, lines in tables() if [cell.partition(",")[0] for cell in found] == [*header]]
    return lines


def problem_of(first: str) -> tuple[list[int], int]:
    (header,) = [found[0] for found, _ in tables() if found[0].startswith(first)]
    *nums, target = map(int, re.findall(r"\d+", header))
    return nums, target


@pytest.mark.parametrize(("first", "option"), [("completion", "answer"), ("answer", "notation")])
def test_countdown(first: str, option: str) -> None:
    choices = {"answer": ["tag", "boxed", "whole"], "notation": ["plain", "lenient"]}[option]
    nums, target = problem_of(first)
    found = table(first, *choices)
    assert len(found) > 10
    for text, *kinds in found:
        for choice, kind in zip(choices, kinds, strict=True):
            task = Countdown({"answer": "whole", option: choice})
            verdict = task.judge(task.normalise({"nums": nums, "target": target}), bare(text), "stop")
            assert verdict.kind == kind, (text, choice, verdict)


def test_matches() -> None:
    choices = ["exact", "accepted", "bfcl"]
    found = table("type", "accepted", "given", *choices)
    assert len(found) > 10
    for declared, accepted, given, *kinds in found:
        first = json.loads(bare(accepted))[0]
        if isinstance(first, dict):
            first = {key: values[0] for key, values in first.items() if "" not in values}
        row = {
            "query": "?",
            "tools": [{"name": "f", "parameters": {"a": {"type": bare(declared)}}}],
            "answers": [{"name": "f", "arguments": {"a": first}}],
            "accepted": f'[{{"f": {{"a": {bare(accepted)}}}}}]',
        }
        for choice, kind in zip(choices, kinds, strict=True):
            task = FunctionCalling({"match": choice})
            text = f'[{{"name": "f", "arguments": {{"a": {bare(given)}}}}}]'
            verdict = task.judge(task.normalise(row), text, "stop")
            assert verdict.kind == kind, (declared, accepted, given, choice, verdict)


def test_formats() -> None:
    found = table("format", "completion", "verdict")
    assert {bare(name) for name, _, _ in found} == set(FORMATS)
    for name, cell, kind in found:
        text = re.sub(r"\bC\b", CALL, bare(cell).replace("[TOOL_CALLS]", "\0"))
        text = re.sub(r"\bP\b", CALL.replace("arguments", "parameters"), text).replace("\0", "[TOOL_CALLS]")
        task = FunctionCalling({"format": bare(name)})
        query = task.normalise({"query": "?", "tools": [{"name": "f"}], "answers": f"[{CALL}]"})
        verdict = task.judge(query, text, "stop")
        assert verdict.kind == kind, (name, text, verdict)


def test_marks_of_the_formats() -> None:
    found = table("format", "families", "told from")
    assert {bare(name) for name, _, _ in found} == set(FORMATS)
    for name, _, marks in found[1:]:
        for mark in re.findall("`([^`]+)`", marks):
            assert detect_format(f"{{{{ tools }}}} {mark}").name == bare(name)


def test_kinds() -> None:
    kinds = [[bare(kind) for kind, _ in lines] for header, lines in tables() if header == ["kind", "meaning"]]
    assert [sorted(each) for each in kinds] == [sorted(Countdown.error_kinds), sorted(FunctionCalling.error_kinds)]


def test_bounds() -> None:
    def count(pattern: str) -> int:
        (number,) = re.findall(pattern, SHEET)
        return int(number.replace(",", ""))

    assert count(r"At most ([\d,]+) characters") == MAX_LENGTH
    assert count(r"of the last ([\d,]+) characters") == MOST_SEARCHED
    assert count(r"At most ([\d,]+) calls") == MAX_CALLS
    assert count(r"calls in ([\d,]+) characters") == MAX_CHARS
    assert count(r"`pythonic`: ([\d,]+)") == pythonic.MAX_CHARS
    assert count(r"nested ([\d,]+) deep") == MAX_DEPTH


def test_signs_that_lenient_reads() -> None:
    """Each is listed, and each that is listed is read."""
    lists = re.findall(r"((?:`[^`]+`(?:, | and )?)+) for `([*/+])`", SHEET)
    assert [sign for _, sign in lists] == ["*", "/", "+"]
    for listed, sign in lists:
        signs = re.findall("`([^`]+)`", listed)
        assert set(signs) == {each for each, plain in notation.SIGNS.items() if plain == sign}


def test_the_default_is_strict() -> None:
    countdown, calls = Countdown().settings, FunctionCalling().settings
    assert (countdown.answer, countdown.notation) == ("tag", "plain")
    assert (calls.match, calls.format) == ("exact", "auto")
    query: Any = Query("q", {"nums": [1, 2], "target": 3})
    assert Countdown().judge(query, "<answer>$1+2$</answer>", "stop").kind == "other_notation"
