"""Countdown problems with the distribution of Jiayi-Pan/Countdown-Tasks-3to4.

How many numbers a problem has and its target are drawn first, then numbers until they fit; all draws are uniform. Of
the orders to draw in, this one agrees with that set: flat targets, small numbers a little more frequent. Problems never
repeat.
"""

from collections.abc import Iterator
from itertools import combinations, product
from random import Random
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rrr_workers.errors import UserError

_PATIENCE = 200_000  # tries in a row without a new problem


class GeneratorOptions(BaseModel):
    """``task.options.generator``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    numbers: list[int] = Field(default=[3, 4], min_length=1, description="How many numbers: each equally often.")
    low: int = Field(default=1, ge=1)
    high: int = Field(default=99, le=999)
    target_low: int = Field(default=10, ge=1)
    target_high: int = 100
    in_order: bool = Field(
        default=False,
        description="Only problems that the numbers solve in the given order, without parentheses, in whole numbers.",
    )

    @model_validator(mode="after")
    def _ranges(self) -> "GeneratorOptions":
        if self.low > self.high or self.target_low > self.target_high:
            raise ValueError("low must not exceed high, nor target_low target_high")
        if not all(1 <= count <= 4 for count in self.numbers):
            raise ValueError(f"numbers must each be from 1 to 4, got {self.numbers}")
        return self


def generate_problems(options: GeneratorOptions, rows: int, seed: int) -> Iterator[dict[str, Any]]:
    """``rows`` distinct solvable problems; the same for the same options and seed, whatever the number of rows."""
    random = Random(seed)
    seen: set[tuple[tuple[int, ...], int]] = set()
    for _ in range(rows):
        count = random.choice(options.numbers)
        target = random.randint(options.target_low, options.target_high)
        for _ in range(_PATIENCE):
            nums = tuple(random.randint(options.low, options.high) for _ in range(count))
            if options.in_order:  # a small world: every problem of it equally often, so the target is drawn anew, too
                target = random.randint(options.target_low, options.target_high)
            if (nums, target) in seen:
                continue
            if target in values_in_order(nums) if options.in_order else is_solvable(nums, target):
                break
        else:
            raise UserError(
                f"the generator found only {len(seen)} distinct problems, {rows} were asked for (data.rows)",
                cure="ask for fewer rows, or widen task.options.generator",
            )
        seen.add((nums, target))
        yield {"nums": list(nums), "target": target}


def is_solvable(nums: tuple[int, ...], target: int) -> bool:
    """Whether some expression that uses each number once equals ``target``.

    Floats are exact enough: with the limits of :class:`GeneratorOptions` a value that isn't the target is at least
    1e-9 away from it (its denominator is a product of at most three numbers), and rounding errs by far less.
    """
    return any(-1e-10 < value - target < 1e-10 for value in _values(nums))


def values_in_order(nums: tuple[int, ...]) -> set[int]:
    """What ``nums`` make in this order, without parentheses, with every intermediate result a whole number."""
    found = set()
    for operators in product("+-*/", repeat=len(nums) - 1):
        total, term, sign = 0, nums[0], 1
        for operator, number in zip(operators, nums[1:], strict=True):
            if operator == "*":
                term *= number
            elif operator == "/":
                if term % number:
                    break
                term //= number
            else:
                total += sign * term
                term, sign = number, 1 if operator == "+" else -1
        else:
            found.add(total + sign * term)
    return found


def _values(nums: tuple[int, ...]) -> Iterator[float]:
    """Everything that an expression which uses each of ``nums`` once can equal, repeats included."""
    if len(nums) == 1:
        yield nums[0]
    for left, right in _splits(nums):
        rights = set(_values(right))
        for a in set(_values(left)):
            for b in rights:
                yield a + b
                yield a - b
                yield b - a
                yield a * b
                if b:
                    yield a / b
                if a:
                    yield b / a


def _splits(nums: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The ways to part ``nums`` in two; the first number is always on the left."""
    first, *rest = nums
    for size in range(len(rest)):
        for chosen in combinations(range(len(rest)), size):
            left = (first, *(rest[i] for i in chosen))
            yield left, tuple(rest[i] for i in range(len(rest)) if i not in chosen)
