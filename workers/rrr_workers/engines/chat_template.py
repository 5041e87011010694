"""What a model's chat template does to a conversation, found by rendering one: what it drops, and what it adds.

Some templates drop the reasoning of earlier answers (Qwen3, DeepSeek-R1), so that a reflection doesn't see the work
that it is on; some add a system message of their own, or today's date, which would make a run depend on the day.
"""

import re
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, NoReturn

from rrr_workers.errors import UserError
from rrr_workers.tasks.base import Message, message
from rrr_workers.text import clip

_SHOWN = 120
Render = Callable[[Sequence[Message]], str]


def clock_of(day: date) -> dict[str, Any]:
    """The template variables that make it ``day`` for a template that asks for the time."""
    return {"strftime_now": day.strftime}


class _Refusal(Exception):
    pass


def refusal(template: str, messages: Sequence[Message]) -> str | None:
    """Why ``template`` refuses ``messages``, found without the tokenizer, whose library takes long to import.

    None also where it needs more than is at hand here: it is tried with the tokenizer when the model is loaded.
    """
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(why: str) -> NoReturn:
        raise _Refusal(why)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals |= {"raise_exception": refuse, **clock_of(date.today())}
    try:
        environment.from_string(template).render(messages=list(messages), add_generation_prompt=True)
    except _Refusal as error:
        return str(error)
    except (TemplateError, TypeError):
        return None
    return None


def describe_template(tokenizer: Any, day: date | None) -> list[str]:
    """Sentences for people; none where the template renders a conversation as it is."""

    def render_on(moment: date) -> Render:
        return lambda messages: str(
            tokenizer.apply_chat_template(
                list(messages), add_generation_prompt=True, tokenize=False, **clock_of(moment)
            )
        )

    today = day or date.today()
    notes = [*_dropped(render_on(today)), *_added(render_on(today))]
    question = [message("user", "rrr-question")]
    if render_on(today)(question) != render_on(date(1999, 12, 31))(question):
        fixed = f"which is {day} in this run" if day else "which changes from day to day"
        notes.append(f"it adds the date, {fixed}")
    return notes


def _dropped(render: Render) -> list[str]:
    from jinja2 import TemplateError

    talk = [
        message("user", "rrr-question"),
        message("assistant", "<think>rrr-reasoning</think>rrr-answer"),
        message("user", "rrr-request"),
        message("assistant", "rrr-reflection"),
        message("user", "rrr-retry"),
    ]
    notes = []
    try:
        if "rrr-system" not in render([message("system", "rrr-system"), *talk]):
            notes.append("it drops the system message")
    except TemplateError as error:
        notes.append(f"it refuses a system message: {error}")
    try:
        shown = render(talk)
    except TemplateError as error:
        raise UserError(
            f"the chat template refuses a conversation of several turns: {error}",
            cure="use a model whose template takes them: a retry follows the answer and the reflection",
        ) from error
    if "rrr-reasoning" not in shown:
        notes.append("it drops the reasoning of earlier answers: reflections and retries don't see it")
    lost = [name for name in ("question", "answer", "request", "reflection", "retry") if f"rrr-{name}" not in shown]
    if lost:
        notes.append(f"it drops earlier turns: {', '.join(lost)}")
    return notes


def _added(render: Render) -> list[str]:
    before = render([message("user", "rrr-question")]).partition("rrr-question")[0]
    has_sentence = re.search(r"[A-Za-z]+( [A-Za-z]+){2}", before)
    return [f"it adds, before the question, {clip(before, _SHOWN)!r}"] if has_sentence else []
