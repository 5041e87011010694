"""Any tool parser of vLLM's as a call format, for the families without a strict parser in :mod:`tool_calls`.

Needs vLLM and the model's tokenizer. What vLLM's parser can't read counts as no call, except where it raises.
"""

import importlib.util
from typing import Any

from rrr_workers.tasks.bounded_json import MAX_CHARS, JsonError, decode
from rrr_workers.tasks.function_calling.tool_calls import MAX_CALLS, Call, NotParsable

_ANY_TOOL = {"type": "function", "function": {"name": "any"}}


def vllm_parser_names() -> list[str]:
    """The names that vLLM knows, none where it isn't installed. Imports vLLM: seconds."""
    if importlib.util.find_spec("vllm") is None:
        return []
    from vllm.tool_parsers import ToolParserManager

    return list(ToolParserManager.list_registered())


class VllmFormat:
    """``parse`` by vLLM's parser ``name``. Raises ``RuntimeError`` for a tokenizer that isn't of its family."""

    def __init__(self, name: str, tokenizer: Any):
        from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
        from vllm.tool_parsers import ToolParserManager

        self._name = name
        self._tokenizer = tokenizer
        self._parser_class = ToolParserManager.get_tool_parser(name)
        self._request_class = ChatCompletionRequest
        asked = self._request([_ANY_TOOL])
        #: Whether its marks are special tokens, which the completion's text must then keep.
        self.needs_special_tokens = not self._parser_class(tokenizer).adjust_request(asked).skip_special_tokens

    def _request(self, tools: list[dict[str, Any]]) -> Any:
        return self._request_class(messages=[], model="", tools=tools)

    def parse(self, text: str, tools: list[dict[str, Any]]) -> list[Call]:
        """The calls of ``text``. ``tools``, in OpenAI's shape, tell some parsers the types of arguments."""
        if len(text) > MAX_CHARS:
            raise NotParsable(f"longer than {MAX_CHARS} characters")
        request = self._request(tools)
        parser = self._parser_class(self._tokenizer, request.tools)
        try:
            extracted = parser.extract_tool_calls(text, request)
        except Exception as error:  # each family's parser raises as it likes on text it can't read
            raise NotParsable(f"vLLM's parser {self._name}: {type(error).__name__}") from error
        if len(extracted.tool_calls) > MAX_CALLS:
            raise NotParsable(f"more than {MAX_CALLS} calls")
        return [_call(call.function.name, call.function.arguments) for call in extracted.tool_calls]


def _call(name: str, arguments: str) -> Call:
    try:
        value = decode(arguments)
    except JsonError as error:
        raise NotParsable(str(error)) from None
    if not isinstance(value, dict):
        raise NotParsable("a call whose arguments are no object")
    return Call(name, value)
