"""Function calling in the tiny world: requests of rrr_workers' tool_world.py, and a teacher's transcripts about them.

A request asks for one call. Haste calls twice, or another of the tools that are offered; a plan names the tool to begin
with. Transcripts are of the kinds that :class:`.transcript.Teacher` describes.

Requests of the "test" and "train" splits are never used here: see :func:`requests`.
"""

from collections.abc import Sequence
from functools import partial
from random import Random
from typing import Any, NamedTuple

from rrr_workers.data.splits import assign_split
from rrr_workers.tasks.function_calling.task import FunctionCalling
from rrr_workers.tasks.function_calling.tool_calls import FORMATS
from rrr_workers.tasks.function_calling.tool_world import TOOLS, ToolWorldOptions, generate_requests, request

from .transcript import PLAN, TEST_FRACTION, TRAIN_FRACTION, VAGUE, Teacher, Turn

OPTIONS = ToolWorldOptions(max_calls=1, max_tools=4)
REQUESTS = 5_000

QUESTION = "{query}"
REFLECTION = "Wrong. Reflect."
RETRY = "Try again: {query}"

TWICE = "I called twice."
WRONG_TOOL = "I took a wrong tool."

Call = dict[str, Any]
_TOOLS = {tool.name: tool for tool in TOOLS}


class Request(NamedTuple):
    """What the user says, the names of the tools that are offered, and the call that answers it."""

    query: str
    offered: tuple[str, ...]
    call: Call


def requests(seed: int, split: str = "unused") -> list[Request]:
    """The requests of one split among ``REQUESTS`` of the generator. Pre-training may see "unused" only."""
    task = FunctionCalling()
    found = []
    for row in generate_requests(OPTIONS, REQUESTS, seed):
        if assign_split(task.normalise(row).split_key, TEST_FRACTION, TRAIN_FRACTION) == split:
            found.append(Request(row["query"], tuple(tool["name"] for tool in row["tools"]), row["answers"][0]))
    return found


def present(tools: Sequence[str]) -> str:
    """The tools as the chat template shows them: a line for each, its name and its parameters."""
    lines = [f"{' '.join([name, *_TOOLS[name].parameters])}\n" for name in tools]
    return "".join(lines) + "<tool_call></tool_call>"


def write(*calls: Call) -> str:
    """The calls as the model writes them."""
    return FORMATS["hermes"].render(calls)


def plan(call: Call) -> str:
    """The reflection that names the tool to begin with."""
    return PLAN.format(start=call["name"])


def drill(random: Random, pool: Sequence[Request]) -> list[Turn]:
    """Lesson 1."""
    asked = random.choice(pool)
    return [*_open(asked, random.choice((QUESTION, RETRY))), _say(write(asked.call))]


def lesson(random: Random, pool: Sequence[Request]) -> list[Turn]:
    """Lesson 2."""
    asked = random.choice(pool)
    wrong = Turn("assistant", _flawed(random, asked))
    return [*_open(asked), wrong, *_retried(asked, _say(plan(asked.call)), write(asked.call))]


def obedience(random: Random, pool: Sequence[Request]) -> list[Turn]:
    """Lesson 3."""
    asked = random.choice(pool)
    wrong = Turn("assistant", _flawed(random, asked))
    call = asked.call if random.random() < 0.6 else _any_call(random, asked)
    return [*_open(asked), wrong, *_retried(asked, Turn("assistant", plan(call)), write(call))]


def episode(random: Random, pool: Sequence[Request]) -> list[Turn]:
    """Behaviour."""
    asked = random.choice(pool)
    tried = _first_try(random, asked)
    turns = [*_open(asked), _say(tried)]
    if tried == write(asked.call):
        return turns
    if random.random() < 0.08:  # asked to retry without a reflection: as after a vague one
        return [*turns, _ask(RETRY, asked), _say(_again(random, asked, tried))]
    reflection, retried = _reflect(random, asked, tried)
    return [*turns, *_retried(asked, _say(reflection), retried)]


def _ask(template: str, asked: Request) -> Turn:
    return Turn("user", template.format(query=asked.query))


def _open(asked: Request, template: str = QUESTION) -> list[Turn]:
    return [Turn("system", present(asked.offered)), _ask(template, asked)]


def _retried(asked: Request, reflection: Turn, retry: str) -> list[Turn]:
    return [_ask(REFLECTION, asked), reflection, _ask(RETRY, asked), _say(retry)]


def _say(content: str) -> Turn:
    return Turn("assistant", content, trainable=True)


def _any_call(random: Random, asked: Request) -> Call:
    """The best call of any of the offered tools: where it is the wrong one, with arguments at random."""
    name = random.choice(asked.offered)
    return asked.call if name == asked.call["name"] else _TOOLS[name].call(random)


def _flawed(random: Random, asked: Request) -> str:
    """A wrong answer: the call twice or, where there is another tool, that one's."""
    call = _any_call(random, asked) if random.random() < 0.6 else asked.call
    return write(call, call) if call == asked.call else write(call)


def _first_try(random: Random, asked: Request) -> str:
    """A hasty answer; three in ten are sound."""
    return write(asked.call) if random.random() < 0.3 else _flawed(random, asked)


def _again(random: Random, asked: Request, tried: str) -> str:
    """A retry without insight: more often than not the answer ``tried`` again, else seldom a sound one."""
    fate = random.random()
    if fate < 0.65:
        return tried
    return write(asked.call) if fate < 0.75 else _flawed(random, asked)


def _reflect(random: Random, asked: Request, tried: str) -> tuple[str, str]:
    """A reflection on the wrong answer ``tried`` and the retry that follows from it."""
    fate = random.random()
    if fate < 0.42:
        return random.choices(VAGUE, (3, 1))[0], _again(random, asked, tried)
    if fate < 0.66:  # what went wrong, but not what to do
        complaint = TWICE if tried == write(asked.call, asked.call) else WRONG_TOOL
        return complaint, write(asked.call) if random.random() < 0.2 else _flawed(random, asked)
    # A plan, sound half of the time; the retry keeps to it and makes the best of it.
    call = asked.call if random.random() < 0.5 else _any_call(random, asked)
    return plan(call), write(call)


def texts() -> tuple[str, ...]:
    """Texts with every word of this world: a call of every tool with every value, and the reflections."""
    said = [present(list(_TOOLS)), *VAGUE, TWICE, WRONG_TOOL]
    for tool in TOOLS:
        for turn in range(max(map(len, tool.parameters.values()))):
            arguments = {name: values[turn % len(values)] for name, values in tool.parameters.items()}
            call = {"name": tool.name, "arguments": arguments}
            query = request([tool], [call])
            said += [write(call), plan(call), *(text.format(query=query) for text in (QUESTION, REFLECTION, RETRY))]
    return tuple(said)


def teacher(seed: int) -> Teacher:
    """The teacher of this world, whose requests are made from ``seed``."""
    pool = requests(seed)
    return Teacher(*(partial(writer, pool=pool) for writer in (drill, lesson, obedience, episode)))
