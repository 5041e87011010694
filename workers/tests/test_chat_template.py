"""What is said of a chat template, with templates like those of known families."""

from datetime import date
from typing import Any

import pytest

from rrr_demos.tiny.tokenizer import make_tokenizer
from rrr_workers.engines.chat import ChatEncoder
from rrr_workers.engines.chat_template import describe_template

TURN = "{{ m.role }}: {{ m.content }}\n"
PLAIN = "{% for m in messages %}" + TURN + "{% endfor %}assistant:"
#: As Qwen3's and DeepSeek-R1's do.
DROPS_REASONING = (
    "{% for m in messages %}{% if m.role == 'assistant' %}assistant: {{ m.content.split('</think>')[-1] }}\n"
    "{% else %}" + TURN + "{% endif %}{% endfor %}assistant:"
)
DROPS_SYSTEM = "{% for m in messages if m.role != 'system' %}" + TURN + "{% endfor %}assistant:"
#: As Gemma's does.
REFUSES_SYSTEM = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + PLAIN
)
KEEPS_LAST = "{{ messages[-1].role }}: {{ messages[-1].content }}\nassistant:"
#: As Qwen2.5's does.
ADDS_SYSTEM = "{% if messages[0].role != 'system' %}system: You are a helpful assistant.\n{% endif %}" + PLAIN
#: As Llama 3.2's does.
ADDS_DATE = "Today Date: {{ strftime_now('%d %b %Y') }}\n" + PLAIN
DAY = date(2026, 1, 31)


def tokenizer_with(template: str) -> Any:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = template
    return tokenizer


@pytest.mark.parametrize(
    ("template", "notes"),
    [
        (PLAIN, []),
        (DROPS_REASONING, ["it drops the reasoning of earlier answers: reflections and retries don't see it"]),
        (DROPS_SYSTEM, ["it drops the system message"]),
        (REFUSES_SYSTEM, ["it refuses a system message: System role not supported"]),
        (ADDS_SYSTEM, ["it adds, before the question, 'system: You are a helpful assistant.\\nuser: '"]),
        (ADDS_DATE, ["it adds the date, which is 2026-01-31 in this run"]),
        (
            KEEPS_LAST,
            [
                "it drops the reasoning of earlier answers: reflections and retries don't see it",
                "it drops earlier turns: question, answer, request, reflection",
            ],
        ),
    ],
)
def test_what_a_template_does_is_told(template: str, notes: list[str]) -> None:
    if template == KEEPS_LAST:
        notes = ["it drops the system message", *notes]
    assert describe_template(tokenizer_with(template), DAY) == notes


def test_the_tiny_models_template_does_nothing_odd() -> None:
    assert describe_template(make_tokenizer(), DAY) == []


def test_a_run_keeps_its_date() -> None:
    messages = [{"role": "user", "content": "2+2"}]
    tokenizer = tokenizer_with("{{ strftime_now('%d') }}" + PLAIN)
    first = ChatEncoder(tokenizer, "tiny", date(2026, 1, 31)).encode(messages)
    again = ChatEncoder(tokenizer, "tiny", date(2026, 1, 31)).encode(messages)
    other = ChatEncoder(tokenizer, "tiny", date(2026, 2, 1)).encode(messages)
    assert first == again != other
    assert tokenizer.decode(first).startswith("31")


def test_without_a_date_it_is_today() -> None:
    tokenizer = tokenizer_with("{{ strftime_now('%Y') }}" + PLAIN)
    ids = ChatEncoder(tokenizer, "tiny").encode([{"role": "user", "content": "2+2"}])
    assert tokenizer.decode(ids).startswith(str(date.today().year))
    assert describe_template(tokenizer, None)[-1] == "it adds the date, which changes from day to day"
