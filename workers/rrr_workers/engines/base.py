"""The one interface to whatever generates text."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from rrr_workers.errors import CallFailed, UserError
from rrr_workers.tasks.base import FinishReason, Message

Tools = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How to sample one completion. ``temperature`` 0 is greedy, whatever the ``seed``."""

    temperature: float
    top_p: float
    max_tokens: int
    seed: int
    #: False keeps special tokens in the text: some families mark their tool calls with them.
    skip_special_tokens: bool = True
    #: Ask for the log-probability of each sampled token.
    logprobs: bool = False


@dataclass(frozen=True, slots=True)
class Completion:
    """What came back. ``token_ids`` is empty where the engine doesn't tell them; ``tokens`` counts them always."""

    text: str
    token_ids: list[int]
    tokens: int
    prompt_tokens: int
    finish_reason: FinishReason
    #: Of each of ``token_ids``, at the temperature it was sampled at; empty unless asked for.
    logprobs: list[float] = field(default_factory=list)


class Unanswerable(UserError):
    """There is no answer to this prompt, however often it is asked: its query is left out. ``kind`` says why."""

    kind: ClassVar[str]


class Refused(Unanswerable):
    """The endpoint refuses this prompt, or gives an answer that can't be used."""

    kind = "refused"


class PromptTooLong(Unanswerable):
    """A prompt that, with the tokens it may be answered with, doesn't fit the model."""

    kind = "prompt_too_long"

    def __init__(self, message: str):
        super().__init__(message, cure="raise model.max_model_len, or lower the token limits of the sampling section")


def fits(prompt_tokens: int, max_tokens: int, max_model_len: int) -> bool:
    """Whether there is room for the prompt and all the tokens it may be answered with."""
    return prompt_tokens + max_tokens <= max_model_len


def check_fits(prompt_tokens: int, max_tokens: int, max_model_len: int) -> None:
    """Raises :class:`PromptTooLong`."""
    if not fits(prompt_tokens, max_tokens, max_model_len):
        raise PromptTooLong(
            f"a prompt of {prompt_tokens} tokens and up to {max_tokens} new ones "
            f"exceed model.max_model_len ({max_model_len})"
        )


class Engine(ABC):
    """Generates many completions at once; a worker has one."""

    @abstractmethod
    async def generate(
        self, messages: Sequence[Message], params: SamplingParams, tools: Tools | None = None
    ) -> Completion:
        """The assistant's next message, with ``tools`` in the chat template.

        Raises :class:`Unanswerable`; :class:`~rrr_workers.errors.CallFailed` where this request can't be answered, and
        :class:`~rrr_workers.errors.WorkerFailed` where no request can be any more.
        """

    async def load(self, model: str) -> None:
        """Hold ``model`` from now on, with nothing left of the one before. :class:`~rrr_workers.errors.CallFailed`
        where this engine can't, or didn't: then it is good for nothing but :meth:`close`."""
        raise CallFailed(f"this engine holds one model, and can't take {model}", cure="start another engine with it")

    @abstractmethod
    def info(self) -> dict[str, Any]:
        """What the ready frame should tell of the engine."""

    @abstractmethod
    async def close(self) -> None:
        """Free the device and end the engine's processes."""
