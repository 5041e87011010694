"""Countdown: reach ``target`` with ``+ - * /`` and parentheses, using each of ``nums`` exactly once.

Where the answer is (``task.options.answer``): "tag", the last complete ``<answer>...</answer>``, or "whole", all of
the completion. Around the expression only spaces and line breaks are allowed, and one ``= N`` after it where N is the
target.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from rrr_workers.hashing import content_hash
from rrr_workers.tasks import prompts
from rrr_workers.tasks.base import BadRow, FinishReason, Query, Task, Verdict
from rrr_workers.tasks.countdown.expression import NotAnExpression, evaluate, parse
from rrr_workers.tasks.countdown.generator import GeneratorOptions, generate_problems
from rrr_workers.tasks.countdown.solver import solve, wrong_answers
from rrr_workers.tasks.reasoning import answer_part
from rrr_workers.text import clip

_OPEN, _CLOSE = "<answer>", "</answer>"
_MAX_NUMBERS = 10
_MAX_VALUE = 10**9


class CountdownOptions(BaseModel):
    """``task.options`` of this task."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    answer: Literal["tag", "whole"] = "tag"
    number_separator: str = Field(default=", ", description="Between the numbers that {numbers} stands for.")
    generator: GeneratorOptions = GeneratorOptions()


class Countdown(Task):
    """The task of the paper's section 4.2, with an exact verifier."""

    name = "countdown"
    error_kinds = ("no_answer", "not_expression", "wrong_numbers", "missed_target", "truncated")
    default_prompts = prompts.COUNTDOWN
    placeholders: ClassVar[tuple[str, ...]] = ("numbers", "target")

    def __init__(self, options: Mapping[str, Any] | None = None, prompts: Mapping[str, str | None] | None = None):
        super().__init__(options, prompts)
        self.settings = CountdownOptions.model_validate(self.options)

    def normalise(self, raw: Mapping[str, Any]) -> Query:
        """``{"nums": [44, 19, 35], "target": 98}``; other columns are ignored."""
        for field in ("nums", "target"):
            if raw.get(field) is None:
                raise BadRow(f"{field} is missing")
        nums, target = raw["nums"], raw["target"]
        if not isinstance(nums, list | tuple) or not 1 <= len(nums) <= _MAX_NUMBERS:
            raise BadRow(f"nums must be a list of 1 to {_MAX_NUMBERS} numbers, got {_show(nums)}")
        for name, value in [*((f"nums[{i}]", number) for i, number in enumerate(nums)), ("target", target)]:
            if type(value) is not int or not 1 <= value <= _MAX_VALUE:
                raise BadRow(f"{name} must be a whole number from 1 to {_MAX_VALUE}, got {_show(value)}")
        nums = list(nums)
        return Query(
            id=content_hash([self.name, nums, target])[:16],
            fields={"nums": nums, "target": target},
            # The same numbers in another order, or with another target, may not cross the split.
            split_key=sorted(nums),
        )

    def prompt_fields(self, query: Query) -> dict[str, Any]:
        numbers = self.settings.number_separator.join(map(str, query.fields["nums"]))
        return {"numbers": numbers, "target": query.fields["target"]}

    def judge(self, query: Query, completion: str, finish_reason: FinishReason) -> Verdict:
        if self.settings.answer == "tag":
            text, _ = answer_part(completion, opened=self.reasoning_opened)
            end = text.rfind(_CLOSE)
            start = text.rfind(_OPEN, 0, end) if end >= 0 else -1
            if start < 0:
                return _NO_TAG_TRUNCATED if finish_reason == "length" else _NO_TAG
            answer = text[start + len(_OPEN) : end]
        elif finish_reason == "length":
            return _WHOLE_TRUNCATED
        else:
            answer = completion
        if not answer or answer.isspace():
            return _EMPTY
        return _judge_answer(answer, query.fields["nums"], query.fields["target"])

    def reference_answer(self, query: Query) -> str | None:
        solution = solve(query.fields["nums"], query.fields["target"])
        return None if solution is None else self._in_tags(solution)

    def corruptions(self, query: Query) -> Iterator[tuple[str, str]]:
        if self.settings.answer == "tag":
            yield "I can't solve this.", "no_answer"
        for answer, kind in wrong_answers(query.fields["nums"], query.fields["target"]):
            yield self._in_tags(answer), kind

    def _in_tags(self, answer: str) -> str:
        return f"{_OPEN} {answer} {_CLOSE}" if self.settings.answer == "tag" else answer

    def generate(self, rows: int, seed: int) -> Iterator[dict[str, Any]]:
        return generate_problems(self.settings.generator, rows, seed)


_PASSED = Verdict(True, "passed")
_NO_TAG = Verdict(False, "no_answer", f"no {_OPEN}...{_CLOSE}")
_NO_TAG_TRUNCATED = Verdict(False, "truncated", f"cut at the token limit before {_CLOSE}")
_WHOLE_TRUNCATED = Verdict(False, "truncated", "cut at the token limit")
_EMPTY = Verdict(False, "no_answer", "the answer is empty")
_DIVIDES_BY_ZERO = Verdict(False, "missed_target", "it divides by zero")


def _judge_answer(answer: str, nums: list[int], target: int) -> Verdict:
    expression, equals, right = answer.partition("=")
    if equals and right.strip(" \t\r\n") != str(target):
        return Verdict(False, "not_expression", f"only '= {target}' may follow the expression")
    try:
        postfix = parse(expression)
    except NotAnExpression as error:
        return Verdict(False, "not_expression", str(error))
    used = sorted(item for item in postfix if isinstance(item, int))
    if used != sorted(nums):
        return Verdict(False, "wrong_numbers", _show(used))
    value = evaluate(postfix)
    if value is None:
        return _DIVIDES_BY_ZERO
    if value == (target, 1):
        return _PASSED
    numerator, denominator = value
    return Verdict(False, "missed_target", str(numerator) if denominator == 1 else f"{numerator}/{denominator}")


def _show(value: Any) -> str:
    """``value`` for an error: at most 80 characters."""
    if type(value) is int and value.bit_length() > 1000:
        return "a number of hundreds of digits"  # str() of it may be refused
    return clip(repr(value), 80)
