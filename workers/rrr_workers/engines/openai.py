"""Any OpenAI-compatible endpoint. The server applies the chat template; a worker talks to one of the base URLs.

Retries of HTTP 429, 5xx and broken connections happen here, in the client library, and nowhere else.
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rrr_workers.config import Config
from rrr_workers.engines.base import Completion, Engine, PromptTooLong, SamplingParams, Tools
from rrr_workers.errors import CallFailed, UserError
from rrr_workers.tasks.base import Message

if TYPE_CHECKING:
    from openai import AsyncOpenAI

# How vLLM's server and OpenAI's say that a prompt is too long.
_TOO_LONG = ("maximum context length", "context_length_exceeded", "maximum model length")
_NO_KEY = "none"  # the client insists on a key; local servers ignore it


class OpenAIEngine(Engine):
    """Chat completions at ``base_urls[index % len(base_urls)]``."""

    def __init__(self, client: "AsyncOpenAI", model: str):
        self._client = client
        self._model = model

    @classmethod
    async def start(cls, config: Config, model: str, index: int) -> "OpenAIEngine":
        """Check that the endpoint answers and knows ``model``."""
        from openai import APIConnectionError, APIStatusError, AsyncOpenAI

        section = config.engine.openai
        assert section is not None  # the command line checks it
        url = section.base_urls[index % len(section.base_urls)]
        name = section.model or model
        client = AsyncOpenAI(
            base_url=url,
            api_key=os.environ.get(section.api_key_env) or _NO_KEY,
            max_retries=section.max_retries,
            timeout=config.workers.call_timeout_s,
        )
        try:
            known = [entry.id async for entry in client.models.list()]
        except APIConnectionError as error:
            raise UserError(
                f"engine.openai: nothing answers at {url}", cure="start the server, check base_urls"
            ) from error
        except APIStatusError as error:
            if error.status_code in (401, 403):
                cure = f"set the environment variable {section.api_key_env} (engine.openai.api_key_env)"
                raise UserError(f"{url} refuses the key: HTTP {error.status_code}", cure=cure) from error
            known = []  # an endpoint without a list of models; the first request will tell
        if known and name not in known:
            cure = f"set engine.openai.model to one of: {', '.join(known[:10])}"
            raise UserError(f"{url} serves no model {name!r}", cure=cure)
        return cls(client, name)

    def info(self) -> dict[str, Any]:
        return {"engine": "openai", "model": self._model, "base_url": str(self._client.base_url)}

    async def generate(
        self, messages: Sequence[Message], params: SamplingParams, tools: Tools | None = None
    ) -> Completion:
        # A server that got tools would parse the calls itself; rrr's tasks write them into the question instead.
        if tools is not None:
            raise UserError("the task's tools need the model's own chat template", cure="use engine.name: vllm")
        from openai import APIConnectionError, APIStatusError

        request: Any = {
            "model": self._model,
            "messages": list(messages),
            "temperature": params.temperature,
            "top_p": params.top_p,
            "max_tokens": params.max_tokens,
            "seed": params.seed,
        }
        try:
            response = await self._client.chat.completions.create(**request)
        except APIStatusError as error:
            if error.status_code == 429 or error.status_code >= 500:
                message = f"the endpoint keeps failing: HTTP {error.status_code}"
                cure = "lower workers.max_in_flight, or raise engine.openai.max_retries"
                raise CallFailed(message, cure=cure, retryable=True) from error
            if error.status_code == 400 and any(sign in str(error.message) for sign in _TOO_LONG):
                raise PromptTooLong(f"the endpoint refuses a prompt: {error.message}") from error
            raise UserError(f"the endpoint refuses a request: HTTP {error.status_code}: {error.message}") from error
        except APIConnectionError as error:
            raise CallFailed(f"the endpoint can't be reached: {error}", retryable=True) from error
        choice = response.choices[0]
        if choice.finish_reason not in ("stop", "length") or response.usage is None:
            raise CallFailed(f"unusable reply: finish_reason {choice.finish_reason!r}, usage {response.usage}")
        return Completion(
            text=choice.message.content or "",
            token_ids=[],
            tokens=response.usage.completion_tokens,
            prompt_tokens=response.usage.prompt_tokens,
            finish_reason=choice.finish_reason,
        )

    async def close(self) -> None:
        await self._client.close()
