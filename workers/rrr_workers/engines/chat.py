"""Between rrr and vLLM, for the sampling workers as for the trainer: prompts, sampling parameters, completions."""

import json
from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from typing import Any

from rrr_workers.engines.base import Completion, SamplingParams, Tools
from rrr_workers.engines.chat_template import clock_of
from rrr_workers.errors import CallFailed, UserError
from rrr_workers.tasks.base import Message


class ChatEncoder:
    """Messages to token ids, by the model's own chat template. The last ``remembered`` prompts cost nothing again.

    ``day``: the run's date, for templates that put today's into the prompt. None: whatever day it is.
    """

    def __init__(self, tokenizer: Any, model: str, day: date | None = None, remembered: int = 0):
        if not tokenizer.chat_template:
            raise UserError(f"model {model} has no chat template", cure="use an instruct model, or add a chat template")
        self._tokenizer = tokenizer
        self._model = model
        self._clock = clock_of(day) if day and "strftime_now" in str(tokenizer.chat_template) else {}
        self._encode_text = lru_cache(maxsize=remembered)(self._encode)

    def encode(self, messages: Sequence[Message], tools: Tools | None = None) -> list[int]:
        """Token ids of the prompt, up to where the assistant's message begins. Not to be changed: they are shared."""
        return self._encode_text(json.dumps([list(messages), tools and list(tools)]))

    def _encode(self, prompt: str) -> list[int]:
        from jinja2 import TemplateError

        messages, tools = json.loads(prompt)
        try:
            ids: list[int] = self._tokenizer.apply_chat_template(
                messages, tools=tools, add_generation_prompt=True, return_dict=False, **self._clock
            )
        except TemplateError as error:
            system = messages[0]["role"] == "system"
            raise UserError(
                f"the chat template of {self._model} refuses this conversation: {error}",
                cure=f"remove task.prompts.{'system' if system else 'question'}, or use another model",
            ) from error
        return ids


def vllm_params(params: SamplingParams) -> Any:
    """``params`` as a ``vllm.SamplingParams``."""
    from vllm import SamplingParams as VllmParams
    from vllm.sampling_params import RequestOutputKind

    return VllmParams(
        temperature=params.temperature,
        top_p=params.top_p,
        max_tokens=params.max_tokens,
        seed=params.seed,
        skip_special_tokens=params.skip_special_tokens,
        logprobs=0 if params.logprobs else None,  # 0: the sampled token's alone
        output_kind=RequestOutputKind.FINAL_ONLY,
        skip_clone=True,  # nobody else has them
    )


def completion_of(output: Any, prompt_tokens: int) -> Completion:
    """A ``vllm.CompletionOutput`` as a :class:`Completion`. Raises :class:`CallFailed` where vLLM gave up on it."""
    if output.finish_reason not in ("stop", "length"):
        raise CallFailed(f"vLLM ended a request with {output.finish_reason!r}", retryable=True)
    token_ids = list(output.token_ids)
    logprobs = [each[token].logprob for each, token in zip(output.logprobs or (), token_ids, strict=False)]
    return Completion(output.text, token_ids, len(token_ids), prompt_tokens, output.finish_reason, logprobs)
