"""What the worlds share: how a transcript is written down, and the reflections that don't depend on the task."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

TEST_FRACTION = 0.2
TRAIN_FRACTION = 0.3

VAGUE = ("I was careless.", "I should check my work.")
PLAN = "Begin with {start}."


@dataclass(frozen=True, slots=True)
class Turn:
    """One message. ``trainable`` says whether the model is trained to say it."""

    role: Literal["system", "user", "assistant"]
    content: str
    trainable: bool = False


Write = Callable[[Random], list[Turn]]


@dataclass(frozen=True, slots=True)
class Teacher:
    """Writers of one world's transcripts.

    Three kinds of lessons teach skill: ``drill`` (a question, answered soundly), ``lesson`` (an episode with a sound
    plan and retry; the wrong first try is not trained) and ``obedience`` (any plan, not trained, and the best retry
    that keeps to it, trained). An ``episode`` teaches behaviour: a hasty first try and, where it is wrong, a reflection
    of unmarked worth and the retry it leads to.
    """

    drill: Write
    lesson: Write
    obedience: Write
    episode: Write
