"""Reasoning isn't part of an answer: what is left of a completion, and what verifiers make of it."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from rrr_workers.tasks.base import Query, Task
from rrr_workers.tasks.countdown.task import Countdown
from rrr_workers.tasks.function_calling.task import FunctionCalling
from rrr_workers.tasks.loaded import LoadedTask
from rrr_workers.tasks.reasoning import answer_part


@pytest.mark.parametrize(
    ("completion", "answer", "ended"),
    [
        ("plain", "plain", True),
        ("<think>a</think>b", "b", True),
        ("<think>\na\n</think>\n\nb", "\n\nb", True),
        ("a <think>b</think> c <think>d</think> e", "a  c  e", True),
        ("<think>a", "", False),
        ("a <think>b", "a ", False),
        ("<think>a <think> b</think> c", " c", True),
        ("a</think>b", "b", True),
        ("a</think>b</think>c", "c", True),
        ('{"text": "say </think> now"}', '{"text": "say </think> now"}', True),
        ('{"text": "say <think> now"}', '{"text": "say <think> now"}', True),
        (r'{"text": "a \" </think>"}', r'{"text": "a \" </think>"}', True),
        ('so "quoted" it is</think>{"a": "</think>"}', '{"a": "</think>"}', True),
        ('<think>an odd " here</think>b', "b", True),
    ],
)
def test_what_is_left(completion: str, answer: str, ended: bool) -> None:
    assert answer_part(completion) == (answer, ended)


def test_a_prompt_that_opened_the_reasoning() -> None:
    assert answer_part("a draft", opened=True) == ("", False)
    assert answer_part("a draft</think>b", opened=True) == ("b", True)


PROBLEM = Query("q", {"nums": [6, 4, 2], "target": 12})
DRAFT = "<think>maybe <answer>6*4/2</answer> let me check"


@pytest.mark.parametrize(
    ("completion", "finish_reason", "kind"),
    [
        (DRAFT, "length", "truncated"),
        (DRAFT, "stop", "no_answer"),
        (DRAFT + "</think><answer>6*4/2</answer>", "stop", "passed"),
        (DRAFT + "</think><answer>6+4+2</answer>", "stop", "passed"),
        (DRAFT + "</think>I give up", "stop", "no_answer"),
        ("<answer>6*4/2</answer>", "length", "passed"),
    ],
)
def test_a_draft_is_no_answer_to_countdown(completion: str, finish_reason: Any, kind: str) -> None:
    assert Countdown().judge(PROBLEM, completion, finish_reason).kind == kind


def request(arguments: dict[str, Any]) -> tuple[FunctionCalling, Query, str]:
    """The task, a query and the call that is right, in the hermes format."""
    task = FunctionCalling({"format": "hermes"})
    call = {"name": "post", "arguments": arguments}
    query = task.normalise({"query": "Post it.", "tools": [{"name": "post", "parameters": {}}], "answers": [call]})
    return task, query, f"<tool_call>\n{json.dumps(call)}\n</tool_call>"


def test_a_draft_of_a_call_is_no_call() -> None:
    task, query, right = request({"text": "hello"})
    assert task.judge(query, f"<think>perhaps {right} or", "length").kind == "truncated"
    assert task.judge(query, f"<think>perhaps {right} or", "stop").kind == "no_call"
    assert task.judge(query, f"<think>perhaps {right}</think>{right}", "stop").kind == "passed"


@pytest.mark.parametrize("text", ["end with </think> here", "<think>", 'a "quoted" </think>'])
def test_a_tag_in_an_argument_is_text(text: str) -> None:
    task, query, right = request({"text": text})
    assert task.judge(query, right, "stop").kind == "passed"
    assert task.judge(query, f"<think>so:</think>\n{right}", "stop").kind == "passed"


def tokenizer(generation_prompt: str) -> Any:
    """A tokenizer whose chat template ends with ``generation_prompt``."""
    return SimpleNamespace(
        chat_template="{{ messages }}",
        all_special_tokens=[],
        apply_chat_template=lambda messages, **_: f"user\n{generation_prompt}",
    )


@pytest.mark.parametrize("task", [Countdown(), FunctionCalling()])
def test_a_template_may_open_the_reasoning(task: Task) -> None:
    loaded = LoadedTask(task, task)
    loaded.use_tokenizer(tokenizer("assistant\n"))
    assert not task.reasoning_opened
    loaded.use_tokenizer(tokenizer("assistant\n<think>\n"))
    assert task.reasoning_opened


def test_a_draft_after_a_prompt_that_opened_the_reasoning() -> None:
    task = Countdown()
    LoadedTask(task, task).use_tokenizer(tokenizer("assistant\n<think>\n"))
    assert task.judge(PROBLEM, "maybe <answer>6*4/2</answer> let me", "length").kind == "truncated"
    assert task.judge(PROBLEM, "6*4</think><answer>6*4/2</answer>", "stop").kind == "passed"
