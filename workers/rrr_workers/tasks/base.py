"""The one interface between rrr and a task: normalise a row, render its prompt, judge a completion."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Message = dict[str, Any]
FinishReason = Literal["stop", "length"]


class BadRow(ValueError):
    """A data row that this task can't use. The message names what is wrong and the offending value."""


@dataclass(frozen=True, slots=True)
class Query:
    """One normalised problem.

    ``id`` is a content hash; ``fields`` is what prompts and the verifier need, plain JSON;
    ``split_key`` is shared by all queries that must stay on one side of the train/test split.
    """

    id: str
    fields: dict[str, Any]
    split_key: Any = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the verifier says of one completion. ``kind`` is ``"passed"`` or one of the task's ``error_kinds``."""

    passed: bool
    kind: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Prompts:
    """The three templates of an episode, filled by ``str.format_map`` with the query's ``prompt_fields``."""

    question: str
    reflection: str
    retry: str
    system: str | None = None


class Task(ABC):
    """Subclass this, name the class in the config, and every command works with it."""

    name: str
    error_kinds: tuple[str, ...]
    default_prompts: Prompts

    def __init__(self, options: Mapping[str, Any] | None = None, prompts: Mapping[str, str | None] | None = None):
        from dataclasses import replace

        self.options = dict(options or {})
        overrides = {key: text for key, text in (prompts or {}).items() if text is not None}
        self.prompts = replace(self.default_prompts, **overrides)

    @abstractmethod
    def normalise(self, raw: Mapping[str, Any]) -> Query:
        """One data row -> Query. Raises :class:`BadRow`."""

    @abstractmethod
    def judge(self, query: Query, completion: str, finish_reason: FinishReason) -> Verdict:
        """Verdict on one completion. Never evaluates it as code; raises only on a bug of the verifier itself."""

    def prompt_fields(self, query: Query) -> dict[str, Any]:
        """Values for the placeholders of the prompt templates."""
        return query.fields

    def generate(self, rows: int, seed: int) -> Iterator[dict[str, Any]]:
        """Endless-enough raw rows for ``data.source: generator``; tasks without a generator leave this alone."""
        raise NotImplementedError(f"task {self.name!r} has no generator; use data.source: jsonl, parquet or hub")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One judged completion and what it cost."""

    completion: str
    tokens: int
    finish_reason: FinishReason
    verdict: Verdict
    token_ids: list[int] = field(default_factory=list)
