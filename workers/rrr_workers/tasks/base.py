"""A task: data rows to queries, queries to prompts, completions to verdicts."""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from rrr_workers.errors import UserError
from rrr_workers.text import clip

_SHOWN = 200  # characters of what is refused
Message = dict[str, Any]
FinishReason = Literal["stop", "length"]


def message(role: str, content: str) -> Message:
    """A message of a chat, of the role "system", "user" or "assistant"."""
    return {"role": role, "content": content}


def continued(start: Sequence[Message], said: Sequence[str], requests: Iterable[str]) -> list[Message]:
    """The chat that begins with ``start`` and goes on with each of the completions ``said`` and what is then asked."""
    messages = [*start]
    for completion, request in zip(said, requests, strict=False):
        messages += [message("assistant", completion), message("user", request)]
    return messages


class BadRow(ValueError):
    """A data row that this task can't use. The message names what is wrong and the offending value."""


def check_plain_json(fields: Any) -> None:
    """Raise :class:`BadRow` for what JSON in UTF-8 can't hold: NaN, infinity, lone surrogates, objects of Python."""
    try:
        json.dumps(fields, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError as error:
        raise BadRow(f"a lone surrogate, {error.object[error.start]!a}, in {clip(ascii(fields), _SHOWN)}") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise BadRow(f"not plain JSON: {error}, in {clip(ascii(fields), _SHOWN)}") from None


@dataclass(frozen=True, slots=True)
class Query:
    """One normalised problem.

    ``id`` is a content hash; ``fields`` is what prompts and the verifier need, plain JSON;
    ``split_key`` is shared by all queries that must stay on one side of the train/test split (None: the id alone).
    """

    id: str
    fields: dict[str, Any]
    split_key: Any = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the verifier says of one completion. ``kind`` is ``"passed"`` or one of the verifier's ``error_kinds``."""

    passed: bool
    kind: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Prompts:
    """The templates of an episode, filled by ``str.format_map`` with the query's ``prompt_fields``.

    ``bare_retry`` and ``hint`` are for controls of the evaluation: what asks for a retry without a reflection, and what
    stands in the place of one.
    """

    question: str
    reflection: str
    retry: str
    system: str | None = None
    bare_retry: str = "That answer is wrong. Try again."
    hint: str = (
        "I made a mistake. I should read the task again, work more carefully and check my answer before I give it."
    )


class Verifier(ABC):
    """Whatever judges completions."""

    #: The kinds of its failed verdicts; None where they are known to it alone, as with an outside program.
    error_kinds: tuple[str, ...] | None
    #: Whether ``judge`` waits, for another process or for the network. It is then called in threads, up to
    #: ``parallel`` at once, and must bear that; otherwise it is called one after the other, in the caller's thread.
    waits: bool = False
    #: How many verdicts it gives at once where it waits; 1 where ``judge`` must not be called by two threads at a time.
    parallel: int = min(32, (os.cpu_count() or 1) + 4)

    @abstractmethod
    def judge(self, query: Query, completion: str, finish_reason: FinishReason) -> Verdict:
        """Verdict on one completion. Never evaluates it as code; raises only on a bug of the verifier itself."""


class UnjudgedTask(ABC):
    """Rows and prompts, without a verifier: the config must bring one."""

    name: str
    default_prompts: Prompts
    placeholders: ClassVar[tuple[str, ...]]
    #: Whether the prompts end with ``<think>``, so that completions begin inside of reasoning.
    reasoning_opened: bool = False
    #: False where the verifier needs the special tokens in a completion's text; final once the tokenizer is known.
    skip_special_tokens: bool = True

    def __init__(self, options: Mapping[str, Any] | None = None, prompts: Mapping[str, str | None] | None = None):
        self.options = dict(options or {})
        overrides = {key: text for key, text in (prompts or {}).items() if text is not None}
        self.prompts = replace(self.default_prompts, **overrides)

    @abstractmethod
    def normalise(self, raw: Mapping[str, Any]) -> Query:
        """One data row -> Query. Raises :class:`BadRow`."""

    def prompt_fields(self, query: Query) -> dict[str, Any]:
        """Values for ``placeholders``, which the prompt templates may use."""
        return query.fields

    def tools(self, query: Query) -> list[dict[str, Any]] | None:
        """Tools for the model's own chat template (OpenAI's shape), None for tasks without or templates that can't."""
        return None

    def use_tokenizer(self, tokenizer: Any) -> None:  # noqa: B027 - most tasks need none
        """The model's tokenizer, given once before any prompt or verdict where there is one (not with an endpoint)."""

    def use_endpoint_tools(self) -> None:  # noqa: B027 - most tasks have no tools
        """An endpoint takes ``tools`` in the request and parses the calls itself (engine.openai.tools: native)."""

    def run_notes(self) -> list[str]:
        """What a run should tell of this task, each once: sentences, complete when ``use_tokenizer`` was called."""
        return []

    def reference_answer(self, query: Query) -> str | None:
        """A completion that must pass, for ``rrr task check``; None where the row holds none."""
        return None

    def corruptions(self, query: Query) -> Iterator[tuple[str, str]]:
        """Completions that must fail, each with the kind it must fail with, for ``rrr task check``."""
        return iter(())

    def text(self, query: Query) -> str | None:
        """What near-exact duplicates are looked for in; None for tasks whose split key already settles it."""
        return None

    def statistics(self, queries: Sequence[Query]) -> dict[str, Any]:
        """What ``rrr data stats`` should tell of the rows, beyond their number."""
        return {}

    def generate(self, rows: int, seed: int) -> Iterator[dict[str, Any]]:
        """``rows`` raw rows for ``data.source: generator``; tasks without a generator leave this alone."""
        raise UserError(f"task {self.name!r} has no generator", cure="use data.source: jsonl, parquet or hub")


class Task(UnjudgedTask, Verifier):
    """A task that judges by itself. Subclass this, name the class in the config, and every command works with it."""

    error_kinds: tuple[str, ...]
