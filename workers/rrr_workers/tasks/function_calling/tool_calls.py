"""Tool calls in the text of a completion: one strict parser for each family's format, and how to tell the family.

Names are those of vLLM's tool parsers. The five families below are parsed here and not by vLLM, because a verdict needs
what those parsers (made for serving) don't give: they report broken JSON as "no call", skip malformed calls in silence
(xlam), end a call at the first ``]`` or ``</tool_call>`` inside an argument (phi4_mini_json, hermes), and import the
whole engine. A test holds both to the same calls on well-formed answers. Every other name of vLLM's goes to its parser
(:mod:`vllm_parsers`); ``vllm:NAME`` asks for it even where there is a parser here.

All formats: what is parsed has no reasoning in it any more (:mod:`rrr_workers.tasks.reasoning`); keys of a call other
than its name and arguments are ignored; arguments must be an object.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rrr_workers.tasks.bounded_json import JsonError, decode, decode_at

MAX_CALLS = 100


class NotParsable(ValueError):
    """The completion means to call a tool, but not in the format."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call; ``arguments`` as :mod:`bounded_json` decodes it."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CallFormat:
    """``parse`` gives the calls of a completion, an empty list when it makes none; ``render`` writes them."""

    parse: Callable[[str], list[Call]]
    render: Callable[[Sequence[Mapping[str, Any]]], str]
    #: What the prompt says where the chat template doesn't know tools.
    instruction: str
    #: Texts that tell a call, which a tokenizer may hold as special tokens.
    markers: tuple[str, ...] = ()


def parse_json(text: str) -> list[Call]:
    """A JSON list of calls and nothing else, or the same as the only ``` block of the text."""
    fence = -1 if text.lstrip().startswith("[") else text.find("```")
    if fence < 0:
        return calls_of(_decode(text)) if "[" in text or "{" in text else []
    start = fence + len("```")
    value, end = _decode_at(text, start + len("json") if text.startswith("json", start) else start)
    if (end != len(text) and not text.startswith("```", end)) or "```" in text[end + 3 :]:
        raise NotParsable("more than one ``` block, or more than JSON in it")
    return calls_of(value)


def parse_hermes(text: str) -> list[Call]:
    """``<tool_call>{...}</tool_call>``, any number of them; the text around is ignored (Qwen2.5, Hermes)."""
    return _tagged(text, "<tool_call>", "</tool_call>")


def parse_llama3_json(text: str) -> list[Call]:
    """Objects in a row, with ``arguments`` or ``parameters``, separated by ``;`` ``,`` or space (Llama 3)."""
    calls: list[Call] = []
    end = 0
    while (start := text.find("{", end)) >= 0:
        if calls and text[end:start].strip(" \t\r\n;,"):
            raise NotParsable("text between the calls")
        value, end = _decode_at(text, start)
        calls.append(_call(value, ("arguments", "parameters")))
        _check_number(calls)
    return calls


def parse_phi4_mini_json(text: str) -> list[Call]:
    """``functools[...]``, a JSON list of calls (Phi-4-mini)."""
    start = text.find("functools[")
    if start < 0:
        return []
    value, end = _decode_at(text, start + len("functools"))
    if "functools[" in text[end:]:
        raise NotParsable("more than one functools list")
    return calls_of(value, ("arguments", "parameters"))


def parse_xlam(text: str) -> list[Call]:
    """The JSON list, bare, in a ``` block, in ``<tool_call>`` or behind ``[TOOL_CALLS]`` (xLAM)."""
    for opening, closing in (("[TOOL_CALLS]", ""), ("<tool_call>", "</tool_call>")):
        if text.lstrip().startswith(opening):
            return calls_of(_decode(text.strip().removeprefix(opening).removesuffix(closing)))
    return parse_json(text)


def _json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _as_parameters(calls: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{"name": call["name"], "parameters": call["arguments"]} for call in calls]


_JSON_LIST = (
    'Answer with nothing but a JSON list of the calls: [{"name": "tool", "arguments": {"parameter": "value"}}, ...]'
)

FORMATS: dict[str, CallFormat] = {
    "json": CallFormat(parse_json, _json_text, _JSON_LIST),
    "hermes": CallFormat(
        parse_hermes,
        lambda calls: "\n".join(f"<tool_call>\n{_json_text(call)}\n</tool_call>" for call in calls),
        "For each call write <tool_call>\n"
        '{"name": "tool", "arguments": {"parameter": "value"}}\n</tool_call>, one after the other.',
        ("<tool_call>", "</tool_call>"),
    ),
    "llama3_json": CallFormat(
        parse_llama3_json,
        lambda calls: "; ".join(map(_json_text, _as_parameters(calls))),
        'Answer with the calls alone, apart by ";": {"name": "tool", "parameters": {"parameter": "value"}}; ...',
    ),
    "phi4_mini_json": CallFormat(
        parse_phi4_mini_json,
        lambda calls: "functools" + _json_text(calls),
        'Answer with the calls alone: functools[{"name": "tool", "arguments": {"parameter": "value"}}, ...]',
    ),
    "xlam": CallFormat(parse_xlam, _json_text, _JSON_LIST, ("[TOOL_CALLS]", "<tool_call>", "</tool_call>")),
}

# What a chat template that knows tools writes, most telling first -> the parser of that family.
_MARKERS = (
    ("functools", "phi4_mini_json"),
    ("<function=", "qwen3_coder"),
    ("<tool_call>", "hermes"),
    ("[TOOL_CALLS]", "mistral"),
    ("<|python_tag|>", "llama3_json"),
    ('"parameters": dictionary of argument name and its value', "llama3_json"),
)


def detect_format(chat_template: str | None) -> str:
    """The format of a chat template: "json" where it doesn't mention tools in a way that is known here."""
    if chat_template and "tools" in chat_template:
        for marker, name in _MARKERS:
            if marker in chat_template:
                return name
    return "json"


def _tagged(text: str, opening: str, closing: str) -> list[Call]:
    calls: list[Call] = []
    end = 0
    while (start := text.find(opening, end)) >= 0:
        value, end = _decode_at(text, start + len(opening))
        if not text.startswith(closing, end) and end != len(text):
            raise NotParsable(f"text between the call and {closing}")
        calls.append(_call(value))
        _check_number(calls)
    return calls


def calls_of(value: Any, keys: tuple[str, ...] = ("arguments",)) -> list[Call]:
    """A decoded list of calls. Raises :class:`NotParsable`."""
    if not isinstance(value, list):
        raise NotParsable("not a list of calls")
    _check_number(value)
    return [_call(item, keys) for item in value]


def _call(value: Any, keys: tuple[str, ...] = ("arguments",)) -> Call:
    if not isinstance(value, dict):
        raise NotParsable("a call that is no object")
    name = value.get("name")
    if not isinstance(name, str):
        raise NotParsable("a call without a name")
    arguments = next((value[key] for key in keys if key in value), None)
    if not isinstance(arguments, dict):
        raise NotParsable(f"a call whose {keys[0]} are no object")
    return Call(name, arguments)


def _check_number(calls: list[Any]) -> None:
    if len(calls) > MAX_CALLS:
        raise NotParsable(f"more than {MAX_CALLS} calls")


def _decode(text: str) -> Any:
    try:
        return decode(text)
    except JsonError as error:
        raise NotParsable(str(error)) from None


def _decode_at(text: str, start: int) -> tuple[Any, int]:
    try:
        return decode_at(text, start)
    except JsonError as error:
        raise NotParsable(str(error)) from None
