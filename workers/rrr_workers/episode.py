"""The episode: try -> verify -> reflect -> retry. ONE definition that sampling, training and evaluation share.

Shape of the chat, fixed; a further round adds another reflection request, reflection, retry request and retry:

    [system?] [user: question] [assistant: failed answer] [user: reflection request] [assistant: reflection]
    [user: retry request] [assistant: retry]

:func:`next_prompt` builds every prompt, :class:`Decoding` all sampling parameters, and :meth:`LoadedTask.judge` gives
every verdict. Training takes the prompt of a reflection as prompt, the reflection as completion, and the retry for the
reward alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle

from rrr_workers.config import Config
from rrr_workers.engines.base import Completion, Engine, SamplingParams, Unanswerable
from rrr_workers.hashing import content_hash, derive_seed
from rrr_workers.tasks.base import Message, Query, Verdict, continued, message
from rrr_workers.tasks.loaded import LoadedTask, user_code


def next_prompt(loaded: LoadedTask, query: Query, said: Sequence[str] = (), *, bare: bool = False) -> list[Message]:
    """The prompt that follows ``said``, the completions so far: answer, reflection, answer, reflection, and so on.

    It ends with the question, after an answer with the reflection request, after a reflection with the retry request.
    ``bare``: every answer is followed by the request for a bare retry, so that ``said`` holds answers alone.
    """
    prompts = loaded.task.prompts
    with user_code(type(loaded.task), "prompt_fields"):
        fields = loaded.task.prompt_fields(query)
        messages = [] if prompts.system is None else [message("system", prompts.system.format_map(fields))]
        messages.append(message("user", prompts.question.format_map(fields)))
        templates = cycle([prompts.bare_retry] if bare else [prompts.reflection, prompts.retry])
        return continued(messages, said, (template.format_map(fields) for template in templates))


def hint(loaded: LoadedTask, query: Query) -> str:
    """What the control of that name puts in the place of a reflection."""
    with user_code(type(loaded.task), "prompt_fields"):
        return loaded.task.prompts.hint.format_map(loaded.task.prompt_fields(query))


@dataclass(frozen=True, slots=True)
class Decoding:
    """Sampling parameters of an episode's completions; ``greedy`` replaces the config's temperature."""

    config: Config
    loaded: LoadedTask
    greedy: bool = False

    def answer(self, seed: int) -> SamplingParams:
        """Of a first try or a retry. Special tokens stay in the text where the verifier needs them."""
        sampling = self.config.sampling
        return SamplingParams(
            temperature=0.0 if self.greedy else sampling.temperature,
            top_p=1.0 if self.greedy else sampling.top_p,
            max_tokens=sampling.max_answer_tokens,
            seed=seed,
            skip_special_tokens=self.loaded.task.skip_special_tokens,
        )

    def reflection(self, seed: int, *, to_learn: bool = False) -> SamplingParams:
        """Of a reflection. Its text goes into a prompt, where a special token would become markup: none stays in it.

        ``to_learn``: for the trainer, whose probabilities are those of the whole vocabulary (so top_p is 1, whatever
        the config says), and which compares the log-probabilities of the sampled tokens.
        """
        sampling = self.config.sampling
        return SamplingParams(
            temperature=0.0 if self.greedy else sampling.temperature,
            top_p=1.0 if self.greedy or to_learn else sampling.top_p,
            max_tokens=sampling.max_reflection_tokens,
            seed=seed,
            logprobs=to_learn,
        )


@dataclass(frozen=True, slots=True)
class Attempt:
    """One answer and its verdict."""

    completion: Completion
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Round:
    """``reflection`` is None where its prompt doesn't fit the model."""

    reflection: Completion | None
    retry: Attempt


@dataclass(frozen=True, slots=True)
class Episode:
    """``first`` is None where the failed answer was given.

    A try that can't be answered, or whose reflection can't be, failed with the kind of that ("prompt_too_long",
    "refused"). It ends the episode: every later prompt would hold this one.
    """

    first: Attempt | None
    rounds: list[Round] = field(default_factory=list)


async def attempt(
    engine: Engine,
    loaded: LoadedTask,
    query: Query,
    said: Sequence[str],
    params: SamplingParams,
    *,
    bare: bool = False,
) -> Attempt:
    """The answer that follows ``said``, judged. Raises :class:`Unanswerable`."""
    completion = await engine.generate(next_prompt(loaded, query, said, bare=bare), params, loaded.tools(query))
    return Attempt(completion, await loaded.judge_async(query, completion.text, completion.finish_reason))


async def run_episode(
    engine: Engine,
    decoding: Decoding,
    query: Query,
    purpose: str,
    *,
    failed_answer: str | None = None,
    rounds: int = 1,
    gated: bool = True,
    report: Callable[[], None] = lambda: None,
) -> Episode:
    """First try and, until a try passes, up to ``rounds`` reflections and retries; ``report`` is called after each.

    With ``failed_answer`` the first try is skipped. Not ``gated``, all rounds follow, whatever passes: what the model
    does that no verifier tells it was right. A completion's "draw", a part of its seed, is its number among the
    completions of the episode, counted from the first try's 0.
    """
    loaded = decoding.loaded

    def seed(draw: int) -> int:
        return derive_seed(decoding.config.seed, query.id, purpose, draw)

    first: Attempt | None = None
    reflection: Completion | None = None
    done: list[Round] = []
    said = [] if failed_answer is None else [failed_answer]
    try:
        if failed_answer is None:
            first = await attempt(engine, loaded, query, said, decoding.answer(seed(0)))
            report()
            if gated and first.verdict.passed:
                return Episode(first)
            said.append(first.completion.text)
        while len(done) < rounds:
            prompt, draw = next_prompt(loaded, query, said), len(said)
            reflection = await engine.generate(prompt, decoding.reflection(seed(draw)), loaded.tools(query))
            report()
            said.append(reflection.text)
            retry = await attempt(engine, loaded, query, said, decoding.answer(seed(draw + 1)))
            report()
            said.append(retry.completion.text)
            done.append(Round(reflection, retry))
            reflection = None
            if gated and retry.verdict.passed:
                break
    except Unanswerable as error:
        lost = _unanswered(error)
        return Episode(lost) if not said else Episode(first, [*done, Round(reflection, lost)])
    return Episode(first, done)


async def retry_on(
    engine: Engine, decoding: Decoding, query: Query, purpose: str, failed_answer: str, reflection: str | None
) -> Episode:
    """One retry that follows a ``reflection`` from elsewhere, or a bare one that follows none.

    Its seed is that of a retry after a reflection of its own: what differs is what it follows.
    """
    said = [failed_answer] if reflection is None else [failed_answer, reflection]
    params = decoding.answer(derive_seed(decoding.config.seed, query.id, purpose, 2))
    try:
        retry = await attempt(engine, decoding.loaded, query, said, params, bare=reflection is None)
    except Unanswerable as error:
        retry = _unanswered(error)
    return Episode(None, [Round(None, retry)])


async def sample_again(engine: Engine, decoding: Decoding, query: Query, purpose: str, tokens: int) -> Episode:
    """First tries until one passes or they have spent ``tokens`` in all; one at least. Each is the retry of a round."""
    done: list[Round] = []
    spent = 0
    while not done or spent < tokens:
        params = decoding.answer(derive_seed(decoding.config.seed, query.id, purpose, len(done)))
        try:
            again = await attempt(engine, decoding.loaded, query, (), params)
        except Unanswerable as error:
            return Episode(None, [*done, Round(None, _unanswered(error))])
        done.append(Round(None, again))
        spent += max(1, again.completion.tokens)
        if again.verdict.passed:
            break
    return Episode(None, done)


def prompt_hash(loaded: LoadedTask, query: Query) -> str:
    """Of the first try's prompt, tools included: runs with equal ones asked the same."""
    return content_hash([next_prompt(loaded, query), loaded.tools(query)])[:16]


def _unanswered(error: Unanswerable) -> Attempt:
    nothing = Completion("", [], tokens=0, prompt_tokens=0, finish_reason="length")
    return Attempt(nothing, Verdict(False, error.kind, str(error)))
