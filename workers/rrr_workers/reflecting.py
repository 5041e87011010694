"""Try, reflect, retry with a model behind any OpenAI-compatible endpoint: what a trained model is for.

The chat is the one that training saw (rrr_workers/episode.py). Neither torch nor vLLM is imported, nor the client's
library: whatever has ``chat.completions.create`` will do.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from rrr_workers.engines.openai import text_of
from rrr_workers.tasks.base import Message, Verdict, continued


@dataclass(frozen=True, slots=True)
class Try:
    """One answer, what ``verify`` said of it, and the reflection that it follows: None for the first."""

    text: str
    passed: bool
    verdict: bool | Verdict
    reflection: str | None = None


@dataclass(frozen=True, slots=True)
class Reflected:
    """The last try's text and whether it passed; ``tries`` are all of them, in order."""

    answer: str
    passed: bool
    tries: list[Try]


def reflect_retry(
    client: Any,
    model: str,
    question_messages: Sequence[Message],
    verify: Callable[[str], bool | Verdict],
    *,
    reflection_prompt: str,
    retry_prompt: str,
    rounds: int = 1,
    max_answer_tokens: int | None = None,
    max_reflection_tokens: int | None = None,
    **request: Any,
) -> Reflected:
    """Ask, and until an answer passes, up to ``rounds`` times ask for a reflection and then for another answer.

    ``client``: an ``openai.OpenAI``, or any object with ``chat.completions.create``. ``model``: its name there.
    ``question_messages``: the first prompt, ``[{"role": "user", "content": ...}]``. ``verify``: True, False or a
    :class:`Verdict` for the text of an answer; what it raises goes on. The prompts are texts, with nothing left to
    fill in: a trained model knows those of its training (``prompts`` in RUN/run.json). ``max_answer_tokens`` and
    ``max_reflection_tokens``: None leaves it to the server. ``request``: any other parameter of every request, such as
    ``temperature`` or ``tools``.

    Raises ``TypeError`` where ``verify`` gives anything else, and what the client raises.
    """

    def say(said: Sequence[str], max_tokens: int | None) -> str:
        messages = continued(question_messages, said, cycle([reflection_prompt, retry_prompt]))
        limit = {} if max_tokens is None else {"max_tokens": max_tokens}
        response = client.chat.completions.create(model=model, messages=messages, **limit, **request)
        return text_of(response.choices[0])

    def attempt(said: Sequence[str], reflection: str | None = None) -> Try:
        text = say(said, max_answer_tokens)
        verdict = verify(text)
        passed = verdict.passed if isinstance(verdict, Verdict) else verdict
        if not isinstance(passed, bool):
            raise TypeError(f"verify must give True, False or a Verdict, and gave {verdict!r}")
        return Try(text, passed, verdict, reflection)

    tries = [attempt(())]
    said = [tries[0].text]
    while not tries[-1].passed and len(tries) <= rounds:
        reflection = say(said, max_reflection_tokens)
        tries.append(attempt([*said, reflection], reflection))
        said += [reflection, tries[-1].text]
    return Reflected(tries[-1].text, tries[-1].passed, tries)
