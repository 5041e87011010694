"""Countdown in the tiny world: small problems, and a teacher's transcripts about them.

A problem is three numbers from 1 to 12 and a target from 1 to 100 that the numbers reach in the given order, without
parentheses, in whole numbers. A plan names the two numbers and the operator to begin with. Transcripts are of the kinds
that :class:`.transcript.Teacher` describes.

Problems of the "test" and "train" splits are never used here: see :func:`problems`.
"""

from collections.abc import Iterator
from functools import cache, partial
from itertools import product
from random import Random
from typing import Literal, NamedTuple

from rrr_workers.data.splits import assign_split

from .transcript import PLAN, TEST_FRACTION, TRAIN_FRACTION, VAGUE, Teacher, Turn

MAX_NUMBER = 12
MAX_TARGET = 100
OPERATORS = "+-*/"

QUESTION = "Use {numbers} to make {target}."
REFLECTION = "Wrong. Reflect: use {numbers} to make {target}."
RETRY = "Try again: use {numbers} to make {target}."

RASH = ("I will just add.", "I will just multiply.")
TOO_SMALL = "I got {value}, too small."
TOO_BIG = "I got {value}, too big."

TEXTS = (QUESTION, REFLECTION, RETRY, PLAN, TOO_SMALL, TOO_BIG, *VAGUE, *RASH)

Numbers = tuple[int, int, int]


class Problem(NamedTuple):
    """``numbers`` in the order of the prompt, and the ``target`` to reach."""

    numbers: Numbers
    target: int


class Expression(NamedTuple):
    """One way to write the numbers: ``text`` "3*5+7", its two operators, and its ``value``."""

    first: str
    second: str
    text: str
    value: int


def _apply(left: int | None, operator: str, right: int | None) -> int | None:
    """The whole number that ``left operator right`` makes, None where there is none."""
    if left is None or right is None:
        return None
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    if operator == "*":
        return left * right
    return left // right if right and left % right == 0 else None


@cache
def expressions(numbers: Numbers) -> tuple[Expression, ...]:
    """Every a?b?c in the given order whose value is a whole number from 1 to ``MAX_TARGET`` (usual precedence)."""
    a, b, c = numbers
    found = []
    for first, second in product(OPERATORS, repeat=2):
        if first in "+-" and second in "*/":
            value = _apply(a, first, _apply(b, second, c))
        else:
            value = _apply(_apply(a, first, b), second, c)
        if value is not None and 1 <= value <= MAX_TARGET:
            found.append(Expression(first, second, f"{a}{first}{b}{second}{c}", value))
    return tuple(found)


def solutions(problem: Problem) -> list[Expression]:
    """The expressions that reach the target; never empty for a problem of :func:`problems`."""
    return [e for e in expressions(problem.numbers) if e.value == problem.target]


def problems(split: Literal["test", "train", "unused"]) -> Iterator[Problem]:
    """All problems of one split, in a fixed order.

    Problems with the same numbers, in whatever order and with whatever target, share a split. Pre-training may see
    "unused" only; reinforcement uses "train" and evaluation "test".
    """
    each = range(1, MAX_NUMBER + 1)
    for numbers in product(each, each, each):
        targets = {e.value for e in expressions(numbers)}
        if len(targets) > 1 and assign_split(sorted(numbers), TEST_FRACTION, TRAIN_FRACTION) == split:
            for target in sorted(targets):
                yield Problem(numbers, target)


def ask(template: str, problem: Problem) -> Turn:
    """The user's turn that ``template`` makes of ``problem``."""
    numbers = ",".join(map(str, problem.numbers))
    return Turn("user", template.format(numbers=numbers, target=problem.target))


def plan(problem: Problem, first: str) -> str:
    """The reflection that narrows the answer to expressions with ``first`` as their first operator."""
    return PLAN.format(start=f"{problem.numbers[0]}{first}{problem.numbers[1]}")


def drill(random: Random, pool: list[Problem]) -> list[Turn]:
    """Lesson 1: one question, answered soundly."""
    problem = random.choice(pool)
    template = random.choice((QUESTION, RETRY))
    return [ask(template, problem), Turn("assistant", random.choice(solutions(problem)).text, trainable=True)]


def lesson(random: Random, pool: list[Problem]) -> list[Turn]:
    """Lesson 2: an episode in which the plan and the retry are sound; nothing is learned from the wrong first try."""
    problem = random.choice(pool)
    solution = random.choice(solutions(problem))
    wrong = random.choice([e for e in expressions(problem.numbers) if e.value != problem.target])
    return [
        ask(QUESTION, problem),
        Turn("assistant", wrong.text),
        ask(REFLECTION, problem),
        Turn("assistant", plan(problem, solution.first), trainable=True),
        ask(RETRY, problem),
        Turn("assistant", solution.text, trainable=True),
    ]


def obedience(random: Random, pool: list[Problem]) -> list[Turn]:
    """Lesson 3: any plan, not trained, and the best retry that keeps to it, trained."""
    problem = random.choice(pool)
    options = expressions(problem.numbers)
    wrong = random.choice([e for e in options if e.value != problem.target])
    start = random.choice(solutions(problem) if random.random() < 0.7 else options).first
    return [
        ask(QUESTION, problem),
        Turn("assistant", wrong.text),
        ask(REFLECTION, problem),
        Turn("assistant", plan(problem, start)),
        ask(RETRY, problem),
        Turn("assistant", best(random, problem, start).text, trainable=True),
    ]


def best(random: Random, problem: Problem, start: str) -> Expression:
    """An expression that comes nearest to the target among those whose first operator is ``start``."""
    kept = [e for e in expressions(problem.numbers) if e.first == start]
    distance = min(abs(e.value - problem.target) for e in kept)
    return random.choice([e for e in kept if abs(e.value - problem.target) == distance])


def episode(random: Random, pool: list[Problem]) -> list[Turn]:
    """Behaviour: a hasty first try and, where it is wrong, a reflection of unmarked worth and the retry it leads to."""
    problem = random.choice(pool)
    tried = first_try(random, problem)
    turns = [ask(QUESTION, problem), Turn("assistant", tried.text, trainable=True)]
    if tried.value == problem.target:
        return turns
    if random.random() < 0.08:  # asked to retry without a reflection: as after a vague one
        return [*turns, ask(RETRY, problem), Turn("assistant", again(random, problem, tried).text, trainable=True)]
    reflection, retried = reflect(random, problem, tried)
    turns += [ask(REFLECTION, problem), Turn("assistant", reflection, trainable=True)]
    return [*turns, ask(RETRY, problem), Turn("assistant", retried, trainable=True)]


def first_try(random: Random, problem: Problem) -> Expression:
    """A hasty answer: 40 % sound, 15 % all numbers added, else any wrong one."""
    options = expressions(problem.numbers)
    fate = random.random()
    if fate < 0.40:
        return random.choice(solutions(problem))
    if fate < 0.55:
        return options[0]  # a+b+c, always within range
    return random.choice([e for e in options if e.value != problem.target])


def again(random: Random, problem: Problem, tried: Expression) -> Expression:
    """A retry without insight: as often as not the answer ``tried`` again, else one operator changed to any other."""
    near = [e for e in expressions(problem.numbers) if (e.first == tried.first) != (e.second == tried.second)]
    return tried if random.random() < 0.5 or not near else random.choice(near)


def reflect(random: Random, problem: Problem, tried: Expression) -> tuple[str, str]:
    """A reflection on the wrong answer ``tried`` and the retry that follows from it."""
    options = expressions(problem.numbers)
    fate = random.random()
    if fate < 0.42:
        return random.choices(VAGUE, (3, 1))[0], again(random, problem, tried).text
    if fate < 0.62:
        # What went wrong, but not what to do: the retry errs less on that side, no more.
        low = tried.value < problem.target
        template = TOO_SMALL if low else TOO_BIG
        moved = [e for e in options if (e.value > tried.value) == low and e.value != tried.value]
        return template.format(value=tried.value), random.choice(moved).text
    if fate < 0.66:
        sign = random.choice("+*")
        return RASH["+*".index(sign)], sign.join(map(str, problem.numbers))
    # A plan, sound half of the time; the retry keeps to it and makes the best of it.
    sound = random.random() < 0.5
    start = random.choice(solutions(problem) if sound else options).first
    return plan(problem, start), best(random, problem, start).text


def teacher() -> Teacher:
    """The teacher of this world."""
    pool = list(problems("unused"))
    return Teacher(*(partial(writer, pool=pool) for writer in (drill, lesson, obedience, episode)))
