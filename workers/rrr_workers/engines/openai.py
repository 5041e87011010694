"""Any OpenAI-compatible endpoint. The server applies the chat template; a worker talks to one of the base URLs.

Retries of HTTP 429, 5xx and broken connections happen here, in the client library, and nowhere else. What goes wrong is
told apart by HTTP status and by the type of the error, as servers word it differently:

    429, 5xx, no connection     CallFailed, may be asked again
    prompt too long             PromptTooLong: the query is left out
    content filter and the like Refused: the query is left out
    any other 4xx               UserError: every request would be refused
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rrr_workers.config import Config
from rrr_workers.engines.base import Completion, Engine, PromptTooLong, Refused, SamplingParams, Tools
from rrr_workers.errors import CallFailed, RrrError, UserError
from rrr_workers.tasks.base import FinishReason, Message

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types.chat import ChatCompletionMessageToolCallUnion
    from openai.types.chat.chat_completion import ChatCompletion, Choice

_NO_KEY = "none"  # the client insists on a key; local servers ignore it
#: How OpenAI, vLLM, SGLang, TGI, llama.cpp, LM Studio and Mistral say that a prompt is too long.
_TOO_LONG = re.compile(
    r"context.?(length|size|window)|maximum model length|max_new_tokens|(prompt|input)\b.* too long|too large for",
    re.IGNORECASE | re.DOTALL,
)
_FILTERED = re.compile(r"content.?(filter|policy|management)|moderation|safety", re.IGNORECASE)
_ENDS: dict[str, FinishReason] = {
    **dict.fromkeys(("tool_calls", "function_call", "stop", "eos", "eos_token", "end_turn", "stop_sequence"), "stop"),
    **dict.fromkeys(("length", "max_tokens"), "length"),
}
#: With so many answers and no text in any of them, the text is somewhere else.
_MOST_EMPTY = 20


class OpenAIEngine(Engine):
    """Chat completions at ``base_urls[index % len(base_urls)]``."""

    def __init__(self, client: "AsyncOpenAI", model: str, url: str, *, native_tools: bool = False):
        self._client = client
        self._native_tools = native_tools
        self._model = model
        self._url = url
        self._empty = 0
        self._any_text = False

    @classmethod
    async def start(cls, config: Config, model: str, index: int) -> "OpenAIEngine":
        """Check that the endpoint answers and knows ``model``."""
        from openai import AsyncOpenAI

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
        known = await _known_models(client, url, section.api_key_env)
        if known and name not in known:
            cure = f"set engine.openai.model to one of: {', '.join(known[:10])}"
            raise UserError(f"{url} serves no model {name!r}", cure=cure)
        return cls(client, name, url, native_tools=section.tools == "native")

    def info(self) -> dict[str, Any]:
        return {"engine": "openai", "model": self._model, "base_url": str(self._client.base_url)}

    async def generate(
        self, messages: Sequence[Message], params: SamplingParams, tools: Tools | None = None
    ) -> Completion:
        from openai import APIConnectionError, APIStatusError

        request: Any = {
            "model": self._model,
            "messages": list(messages),
            "temperature": params.temperature,
            "top_p": params.top_p,
            "max_tokens": params.max_tokens,
            "seed": params.seed,
            **({} if tools is None else {"tools": list(tools)}),
        }
        try:
            response = await self._client.chat.completions.create(**request)
        except APIStatusError as error:
            raise self._classify(error.status_code, error.message, error.body) from error
        except APIConnectionError as error:
            raise CallFailed(f"{self._url} can't be reached: {error}", retryable=True) from error
        return self._completion(response, self._only_choice(response))

    async def close(self) -> None:
        await self._client.close()

    def _classify(self, status: int, message: str, body: Any) -> RrrError:
        """The error that a reply of this HTTP status, or an error body under status 200, stands for."""
        details = " ".join(str(body.get(key, "")) for key in ("code", "type", "message")) if _is_object(body) else body
        said = f"{self._url} says: HTTP {status}: {message}"
        if status == 429 or status >= 500:
            cure = "lower workers.max_in_flight, or raise engine.openai.max_retries"
            return CallFailed(f"{self._url} keeps failing: HTTP {status}: {message}", cure=cure, retryable=True)
        if status in (401, 403):
            return UserError(f"{self._url} refuses the key: HTTP {status}", cure="check engine.openai.api_key_env")
        if _TOO_LONG.search(f"{message} {details}"):
            return PromptTooLong(said)
        if status == 451 or _FILTERED.search(f"{message} {details}"):
            return Refused(said)
        return UserError(said, cure="check the server's log, engine.openai.model and the sampling section")

    def _only_choice(self, response: "ChatCompletion") -> "Choice":
        if response.choices:
            return response.choices[0]
        body: Any = (response.model_extra or {}).get("error")
        if not _is_object(body):
            raise Refused(f"{self._url} gave a reply without choices")
        status = body.get("code")
        is_http = isinstance(status, int) and 400 <= status < 600
        raise self._classify(status if is_http else 400, str(body.get("message", body)), body)

    def _completion(self, response: "ChatCompletion", choice: "Choice") -> Completion:
        if choice.finish_reason in ("tool_calls", "function_call") and not self._native_tools:
            cure = "start the server without a parser for tool calls, or set engine.openai.tools: native"
            raise UserError(f"{self._url} gave tool calls in place of text", cure=cure)
        finish_reason = _ENDS.get(choice.finish_reason)
        if finish_reason is None:
            raise Refused(f"{self._url} ended an answer with {choice.finish_reason!r}")
        if response.usage is None:
            raise UserError(f"{self._url} doesn't count tokens: its reply has no usage", cure="use another server")
        text = text_of(choice)
        self._check_text(text, response.usage.completion_tokens)
        return Completion(
            text=text,
            token_ids=[],
            tokens=response.usage.completion_tokens,
            prompt_tokens=response.usage.prompt_tokens,
            finish_reason=finish_reason,
        )

    def _check_text(self, text: str, tokens: int) -> None:
        self._any_text = self._any_text or bool(text)
        self._empty += not text and tokens > 1
        if self._empty == _MOST_EMPTY and not self._any_text:
            message = f"the first {_MOST_EMPTY} answers of {self._url} are empty, though it counted tokens for each"
            raise UserError(
                message, cure="look at one of its replies: the text may be in a field that rrr doesn't know"
            )


async def _known_models(client: "AsyncOpenAI", url: str, key_variable: str) -> list[str]:
    """The models that the endpoint lists, none where it has no list: the first request will tell."""
    from openai import APIConnectionError, APIStatusError

    try:
        return [entry.id async for entry in client.models.list()]
    except APIConnectionError as error:
        cure = "start the server, check base_urls"
        raise UserError(f"engine.openai: nothing answers at {url}", cure=cure) from error
    except APIStatusError as error:
        if error.status_code in (401, 403):
            cure = f"set the environment variable {key_variable} (engine.openai.api_key_env)"
            raise UserError(f"{url} refuses the key: HTTP {error.status_code}", cure=cure) from error
    if not urlsplit(url).path.strip("/"):
        longer = f"{url.rstrip('/')}/v1"
        try:
            await client.with_options(base_url=longer).models.list()
        except (APIConnectionError, APIStatusError):
            return []
        raise UserError(f"{url} is not where the endpoint is", cure=f"write {longer} in engine.openai.base_urls")
    return []


def text_of(choice: "Choice") -> str:
    """The answer; reasoning that the server keeps in a field of its own stands before it, as the model wrote it, and
    calls that the server has parsed behind it."""
    message = choice.message
    extra = getattr(message, "model_extra", None) or {}
    calls = _calls_as_text(getattr(message, "tool_calls", None) or [])
    content, reasoning = message.content or "", extra.get("reasoning_content") or extra.get("reasoning")
    if not reasoning:
        return content + calls
    unfinished = _ENDS.get(choice.finish_reason) == "length" and not content
    return f"<think>{reasoning}{'' if unfinished else '</think>'}{content}{calls}"


def _calls_as_text(calls: "Sequence[ChatCompletionMessageToolCallUnion]") -> str:
    """The calls as a task reads them that was told of no other format: a JSON list.

    Arguments stay the text that the model wrote, also where that is no JSON: the verifier says so.
    """
    if not calls:
        return ""
    written = [
        f'{{"name": {json.dumps(call.function.name)}, "arguments": {call.function.arguments or "{}"}}}'
        for call in calls
        if call.type == "function"
    ]
    return f"[{', '.join(written)}]"


def _is_object(body: Any) -> bool:
    return isinstance(body, Mapping)
