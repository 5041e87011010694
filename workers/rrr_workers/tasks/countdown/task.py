"""Countdown: reach ``target`` with ``+ - * /`` and parentheses, using each of ``nums`` exactly once.

``task.options.answer`` says where the answer is: "tag", the last complete ``<answer>...</answer>``, "boxed", the last
complete ``\\boxed{...}``, or "whole", all of the completion. ``task.options.notation`` says how it is written: "plain",
the grammar of :mod:`expression` and one ``= N`` after it where N is the target, or "lenient", also :mod:`notation`. All
rules with examples: ../RULES.md.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from rrr_workers.hashing import content_hash
from rrr_workers.tasks import prompts
from rrr_workers.tasks.base import BadRow, FinishReason, Query, Task, Verdict
from rrr_workers.tasks.countdown.answer import CLOSE, OPEN, last_boxed, last_tagged
from rrr_workers.tasks.countdown.expression import NotAnExpression, Postfix, evaluate, parse
from rrr_workers.tasks.countdown.generator import GeneratorOptions, generate_problems
from rrr_workers.tasks.countdown.notation import parse_lenient, unwrap
from rrr_workers.tasks.countdown.solver import solve, wrong_answers
from rrr_workers.tasks.reasoning import answer_part
from rrr_workers.text import clip

_SPACES = " \t\r\n"
_MAX_NUMBERS = 10
_MAX_VALUE = 10**9


class CountdownOptions(BaseModel):
    """``task.options`` of this task."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    answer: Literal["tag", "whole", "boxed"] = "tag"
    notation: Literal["plain", "lenient"] = "plain"
    number_separator: str = Field(default=", ", description="Between the numbers that {numbers} stands for.")
    generator: GeneratorOptions = GeneratorOptions()


class Countdown(Task):
    """The task of the paper's section 4.2, with an exact verifier."""

    name = "countdown"
    #: "other_notation": a right answer in a notation that only "lenient" reads.
    error_kinds = ("no_answer", "not_expression", "other_notation", "wrong_numbers", "missed_target", "truncated")
    default_prompts = prompts.COUNTDOWN
    placeholders: ClassVar[tuple[str, ...]] = ("numbers", "target")

    def __init__(self, options: Mapping[str, Any] | None = None, prompts: Mapping[str, str | None] | None = None):
        super().__init__(options, prompts)
        self.settings = CountdownOptions.model_validate(self.options)
        self._is_whole = self.settings.answer == "whole"
        self._last = last_boxed if self.settings.answer == "boxed" else last_tagged
        marks, end = _PLACES[self.settings.answer]
        self._missing = Verdict(False, "no_answer", f"no {marks}")
        self._truncated = Verdict(False, "truncated", f"cut at the token limit{end}")

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
        answer = self._answer(completion)
        if answer is None:
            return self._truncated if finish_reason == "length" else self._missing
        if self._is_whole and finish_reason == "length":
            return self._truncated
        if not answer or answer.isspace():
            return _EMPTY
        nums, target = query.fields["nums"], query.fields["target"]
        expression, equals, right = answer.partition("=")
        verdict = _judge(expression, right.strip(_SPACES) if equals else None, nums, target, parse)
        if verdict.kind != "not_expression":
            return verdict
        lenient = _judge(*_split_lenient(answer), nums, target, parse_lenient)
        if self.settings.notation == "lenient":
            return lenient
        return Verdict(False, "other_notation", verdict.detail) if lenient.passed else verdict

    def reference_answer(self, query: Query) -> str | None:
        solution = solve(query.fields["nums"], query.fields["target"])
        return None if solution is None else self._in_place(solution)

    def corruptions(self, query: Query) -> Iterator[tuple[str, str]]:
        if self.settings.answer != "whole":
            yield "I can't solve this.", "no_answer"
        for answer, kind in wrong_answers(query.fields["nums"], query.fields["target"]):
            yield self._in_place(answer), kind
        if self.settings.notation == "plain" and (solution := solve(query.fields["nums"], query.fields["target"])):
            yield self._in_place(f"${solution}$"), "other_notation"

    def _answer(self, completion: str) -> str | None:
        """The answer in ``completion``, None where there is none."""
        if self._is_whole:
            return completion
        text, _ = answer_part(completion, opened=self.reasoning_opened)
        return self._last(text)

    def _in_place(self, answer: str) -> str:
        """A completion that gives ``answer``."""
        if self.settings.answer == "whole":
            return answer
        return f"{OPEN} {answer} {CLOSE}" if self.settings.answer == "tag" else f"\\boxed{{{answer}}}"

    def generate(self, rows: int, seed: int) -> Iterator[dict[str, Any]]:
        return generate_problems(self.settings.generator, rows, seed)


_PASSED = Verdict(True, "passed")
_EMPTY = Verdict(False, "no_answer", "the answer is empty")
_DIVIDES_BY_ZERO = Verdict(False, "missed_target", "it divides by zero")


# What is missing without an answer, and what a completion that was cut lacks.
_PLACES = {
    "tag": (f"{OPEN}...{CLOSE}", f" before {CLOSE}"),
    "boxed": ("\\boxed{...}", " before the end of \\boxed{...}"),
    "whole": ("answer", ""),
}


def _split_lenient(answer: str) -> tuple[str, str | None]:
    """(expression, what stands behind its "=", None where it has none)."""
    expression, equals, right = unwrap(answer).partition("=")
    return (unwrap(expression), unwrap(right)) if equals else (expression, None)


def _judge(
    expression: str, right: str | None, nums: list[int], target: int, parse: Callable[[str], Postfix]
) -> Verdict:
    if right is not None and right != str(target):
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
