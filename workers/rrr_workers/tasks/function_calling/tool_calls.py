"""Tool calls in the text of a completion: one strict parser for each family's format.

Names are those of vLLM's tool parsers, but for ``json`` and ``phi4_mini``. These families are parsed here and not by
vLLM, because a verdict needs what those parsers (made for serving) don't give: they report broken JSON as "no call",
skip malformed calls in silence (xlam), end a call at the first ``]`` or ``</tool_call>`` inside an argument
(phi4_mini_json, hermes), know a call only at the very start of the text (pythonic), and import the whole engine. A test
holds both to the same calls on well-formed answers. Every other name of vLLM's goes to its parser
(:mod:`vllm_parsers`); ``vllm:NAME`` asks for it even where there is a parser here.

All formats: what is parsed has no reasoning in it any more (:mod:`rrr_workers.tasks.reasoning`); keys of a call other
than its name and arguments are ignored; arguments must be an object, or for xlam, as in vLLM, JSON text of one. Which
format a model writes is told from its chat template (:mod:`template_format`).
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rrr_workers.tasks.bounded_json import JsonError, decode, decode_at
from rrr_workers.tasks.function_calling.pythonic import PythonicError, read_list, write_list

MAX_CALLS = 100

_SPACES = " \t\r\n"
_BETWEEN_LLAMA_CALLS = re.compile(r"(?:[ \t\r\n;,]|<\|python_tag\|>|```(?:json)?)*")
_PHI_MARK = re.compile(r"functools(?=\[)|<\|tool_call\|>")
_XLAM_MARK = re.compile(r"\[TOOL_CALLS\]|<tool_call>|```(?:json)?")


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
    """Objects in a row, with ``arguments`` or ``parameters`` (Llama 3).

    Between them ``;`` ``,`` spaces, further ``<|python_tag|>``, and the marks of ``` blocks.
    """
    calls: list[Call] = []
    end = 0
    while (start := text.find("{", end)) >= 0:
        if calls and not _BETWEEN_LLAMA_CALLS.fullmatch(text, end, start):
            raise NotParsable("text between the calls")
        value, end = _decode_at(text, start)
        calls.append(_call(value, ("arguments", "parameters")))
        _check_number(calls)
    return calls


def parse_phi4_mini(text: str) -> list[Call]:
    """A JSON list of calls, as ``functools[...]`` or ``<|tool_call|>[...]<|/tool_call|>`` (Phi-4-mini)."""
    found = _PHI_MARK.search(text)
    if found is None:
        return []
    value, end = _decode_at(text, found.end())
    closing = "<|/tool_call|>" if found[0] == "<|tool_call|>" else ""
    if not text.startswith(closing, end) and end != len(text):
        raise NotParsable(f"text between the list and {closing}")
    if _PHI_MARK.search(text, end):
        raise NotParsable("more than one list of calls")
    return calls_of(value, ("arguments", "parameters"))


def parse_pythonic(text: str) -> list[Call]:
    """``[tool(parameter="value"), ...]`` with spaces or Llama 4's marks around it (Llama 3.2 and 4, ToolACE)."""
    if "[" not in text:
        return []
    text = text.strip(_SPACES).removeprefix("<|python_start|>").removesuffix("<|python_end|>")
    try:
        calls = read_list(text, MAX_CALLS)
    except PythonicError as error:
        raise NotParsable(str(error)) from None
    return [Call(name, arguments) for name, arguments in calls]


def parse_xlam(text: str) -> list[Call]:
    """A JSON list of calls, or an object that holds it as "tool_calls" (xLAM).

    It is all of the text, or the only ``` block, or the only list in ``<tool_call>`` or behind ``[TOOL_CALLS]``, with
    any text before that mark.
    """
    begin = text.lstrip(_SPACES)
    mark = None if begin.startswith(("[", "{")) and not begin.startswith("[TOOL_CALLS]") else _XLAM_MARK.search(text)
    if mark is None:
        return _xlam_calls(_decode(text)) if "[" in text or "{" in text else []
    value, end = _decode_at(text, mark.end())
    if end != len(text):
        if mark[0] == "[TOOL_CALLS]":
            if "\n" not in text[len(text[:end].rstrip(_SPACES)) : end]:
                raise NotParsable("text behind the list")
        else:
            closing = "</tool_call>" if mark[0] == "<tool_call>" else "```"
            if not text.startswith(closing, end):
                raise NotParsable(f"text between the list and {closing}")
            end += len(closing)
        if _XLAM_MARK.search(text, end):
            raise NotParsable("more than one list of calls")
    return _xlam_calls(value)


def _xlam_calls(value: Any) -> list[Call]:
    if isinstance(value, dict) and "tool_calls" in value:
        value = value["tool_calls"]
    return calls_of(value, text_arguments=True)


def _json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _as_parameters(calls: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{"name": call["name"], "parameters": call["arguments"]} for call in calls]


_PHI_TAGS = ("<|tool_call|>", "<|/tool_call|>")
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
        parse_phi4_mini,
        lambda calls: "functools" + _json_text(calls),
        'Answer with the calls alone: functools[{"name": "tool", "arguments": {"parameter": "value"}}, ...]',
        _PHI_TAGS,
    ),
    "phi4_mini": CallFormat(
        parse_phi4_mini,
        lambda calls: f"<|tool_call|>{_json_text(calls)}<|/tool_call|>",
        "Answer with the calls alone: "
        '<|tool_call|>[{"name": "tool", "arguments": {"parameter": "value"}}, ...]<|/tool_call|>',
        _PHI_TAGS,
    ),
    "pythonic": CallFormat(
        parse_pythonic,
        write_list,
        'Answer with nothing but a Python list of the calls: [tool(parameter="value", ...), ...]',
    ),
    "xlam": CallFormat(parse_xlam, _json_text, _JSON_LIST, ("[TOOL_CALLS]", "<tool_call>", "</tool_call>")),
}


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


def calls_of(value: Any, keys: tuple[str, ...] = ("arguments",), *, text_arguments: bool = False) -> list[Call]:
    """A decoded list of calls; ``text_arguments``: also with arguments as JSON text. Raises :class:`NotParsable`."""
    if not isinstance(value, list):
        raise NotParsable("not a list of calls")
    _check_number(value)
    return [_call(item, keys, text_arguments=text_arguments) for item in value]


def _call(value: Any, keys: tuple[str, ...] = ("arguments",), *, text_arguments: bool = False) -> Call:
    if not isinstance(value, dict):
        raise NotParsable("a call that is no object")
    name = value.get("name")
    if not isinstance(name, str):
        raise NotParsable("a call without a name")
    arguments = next((value[key] for key in keys if key in value), None)
    if text_arguments and isinstance(arguments, str):
        arguments = _decode(arguments)
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
