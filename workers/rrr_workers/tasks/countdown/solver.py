"""A solution of a Countdown problem by trying everything, and wrong answers to it: what ``rrr task check`` judges."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import permutations

from rrr_workers.tasks.countdown.expression import evaluate, parse

_MAX_NUMBERS = 4  # five would take seconds

_Term = tuple[Fraction, str]


def solve(nums: Sequence[int], target: int) -> str | None:
    """An expression for ``target`` that uses each number once; None where there is none, or more than four numbers."""
    if len(nums) > _MAX_NUMBERS:
        return None
    found = _search([(Fraction(number), str(number)) for number in nums], target)
    return found[1:-1] if found and len(nums) > 1 else found


def wrong_answers(nums: Sequence[int], target: int) -> Iterator[tuple[str, str]]:
    """(answer, kind that it must be judged as)."""
    answer = solve(nums, target) or " + ".join(map(str, nums))
    yield "I can't solve this.", "not_expression"
    yield f"{answer} +", "not_expression"
    yield f"{answer} = {target + 1}", "not_expression"
    yield f"{answer} + {nums[0]} - {nums[0]}", "wrong_numbers"
    if list(nums) != [target]:
        yield str(target), "wrong_numbers"
    for operator in "+*":
        chain = f" {operator} ".join(map(str, nums))
        if evaluate(parse(chain)) != (target, 1):
            yield chain, "missed_target"


def _search(terms: list[_Term], target: int) -> str | None:
    if len(terms) == 1:
        value, text = terms[0]
        return text if value == target else None
    for i, j in permutations(range(len(terms)), 2):
        rest = [term for k, term in enumerate(terms) if k not in (i, j)]
        for joined in _join(terms[i], terms[j]):
            if found := _search([*rest, joined], target):
                return found
    return None


def _join(left: _Term, right: _Term) -> Iterator[_Term]:
    (a, a_text), (b, b_text) = left, right
    yield a + b, f"({a_text} + {b_text})"
    yield a - b, f"({a_text} - {b_text})"
    yield a * b, f"({a_text} * {b_text})"
    if b:
        yield a / b, f"({a_text} / {b_text})"
