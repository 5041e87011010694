"""The episode: attempt -> verify -> reflect -> retry. ONE definition that sampling, training and evaluation share.

Shape of the chat, fixed:

    [system?] [user: question] [assistant: failed answer] [user: reflection request] [assistant: reflection]
    [user: retry request] [assistant: retry]

Training takes :func:`reflection_messages` as prompt, the reflection as completion, and the retry for the reward alone.
"""

import asyncio
from dataclasses import dataclass

from rrr_workers.config import Config
from rrr_workers.engines.base import Completion, Engine, PromptTooLong, SamplingParams
from rrr_workers.splits import derive_seed
from rrr_workers.tasks.base import Attempt, Message, Query, Task, Verdict

# The place of each completion of an episode in derive_seed: its "draw".
_FIRST, _REFLECTION, _SECOND = 0, 1, 2


def question_messages(task: Task, query: Query) -> list[Message]:
    """Prompt of the first try."""
    fields = task.prompt_fields(query)
    system = [] if task.prompts.system is None else [_message("system", task.prompts.system.format_map(fields))]
    return [*system, _message("user", task.prompts.question.format_map(fields))]


def reflection_messages(task: Task, query: Query, failed_answer: str) -> list[Message]:
    """Prompt of the reflection on ``failed_answer``."""
    request = task.prompts.reflection.format_map(task.prompt_fields(query))
    return [*question_messages(task, query), _message("assistant", failed_answer), _message("user", request)]


def retry_messages(task: Task, query: Query, failed_answer: str, reflection: str) -> list[Message]:
    """Prompt of the second try."""
    request = task.prompts.retry.format_map(task.prompt_fields(query))
    before = reflection_messages(task, query, failed_answer)
    return [*before, _message("assistant", reflection), _message("user", request)]


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}


@dataclass(frozen=True, slots=True)
class Sampler:
    """Sampling parameters of one purpose: temperature and limits from the config, a seed of its own for every draw."""

    config: Config
    greedy: bool = False

    def params(self, query: Query, purpose: str, draw: int, *, reflection: bool = False) -> SamplingParams:
        sampling = self.config.sampling
        return SamplingParams(
            temperature=0.0 if self.greedy else sampling.temperature,
            top_p=1.0 if self.greedy else sampling.top_p,
            max_tokens=sampling.max_reflection_tokens if reflection else sampling.max_answer_tokens,
            seed=derive_seed(self.config.seed, query.id, purpose, draw),
        )


async def judged(task: Task, query: Query, completion: Completion) -> Attempt:
    """``completion`` with its verdict. A verifier that raises is a bug, never a verdict."""
    if task.blocking:
        verdict = await asyncio.to_thread(task.judge, query, completion.text, completion.finish_reason)
    else:
        verdict = task.judge(query, completion.text, completion.finish_reason)
    return Attempt(
        completion=completion.text,
        tokens=completion.tokens,
        finish_reason=completion.finish_reason,
        verdict=verdict,
        token_ids=completion.token_ids,
        prompt_tokens=completion.prompt_tokens,
    )


async def attempt(engine: Engine, task: Task, query: Query, params: SamplingParams) -> Attempt:
    """One first try."""
    return await judged(task, query, await engine.generate(question_messages(task, query), params, task.tools(query)))


@dataclass(frozen=True, slots=True)
class Episode:
    """``first`` is None where the failed answer was given; the rest is None where the first try passed.

    A try whose prompt doesn't fit the model, or whose reflection's doesn't, failed with kind "prompt_too_long".
    """

    first: Attempt | None
    reflection: Completion | None = None
    second: Attempt | None = None


async def run_episode(
    engine: Engine, task: Task, query: Query, sampler: Sampler, purpose: str, failed_answer: str | None = None
) -> Episode:
    """First try and, where it fails, reflection and second try; with ``failed_answer`` the first try is skipped."""
    first = reflection = None
    try:
        if failed_answer is None:
            first = await attempt(engine, task, query, sampler.params(query, purpose, _FIRST))
            if first.verdict.passed:
                return Episode(first)
            failed_answer = first.completion
        reflection = await engine.generate(
            reflection_messages(task, query, failed_answer),
            sampler.params(query, purpose, _REFLECTION, reflection=True),
            task.tools(query),
        )
        retry = await engine.generate(
            retry_messages(task, query, failed_answer, reflection.text),
            sampler.params(query, purpose, _SECOND),
            task.tools(query),
        )
    except PromptTooLong as error:
        lost = Attempt("", tokens=0, finish_reason="length", verdict=Verdict(False, "prompt_too_long", str(error)))
        return Episode(lost) if failed_answer is None else Episode(first, reflection, lost)
    return Episode(first, reflection, await judged(task, query, retry))
