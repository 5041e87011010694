"""The columns of a function-calling row, read and checked: every mistake is a :class:`BadRow` that names it."""

import json
from collections.abc import Mapping
from typing import Any

from rrr_workers.tasks.base import BadRow
from rrr_workers.tasks.bounded_json import JsonError, decode, show
from rrr_workers.tasks.function_calling.tool_calls import Call, NotParsable, calls_of
from rrr_workers.text import clip


def json_text(raw: Mapping[str, Any], column: str) -> str:
    """A column as JSON text, whether the data holds text or the value itself."""
    value = raw.get(column)
    if value is None:
        raise BadRow(f"{column} is missing")
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BadRow(f"{column} isn't JSON: {error}") from None


def read_tools(value: Any) -> list[dict[str, Any]]:
    """Tools as plain JSON. They are shown to the model and never compared, so an ordinary decoder will do."""
    try:
        tools = json.loads(value if isinstance(value, str) else json.dumps(value), parse_constant=_no_constant)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadRow(f"tools aren't JSON: {error}") from None
    if not isinstance(tools, list) or not tools:
        raise BadRow(f"tools must be a list, got {shown(tools)}")
    tools = [_unwrapped(tool) for tool in tools]
    for tool in tools:
        if not isinstance(tool, dict) or not isinstance(tool.get("name"), str):
            raise BadRow(f"a tool without a name: {shown(tool)}")
        if not isinstance(tool.get("parameters") or {}, dict):
            raise BadRow(f"the parameters of tool {shown(tool['name'])} aren't an object")
    return tools


def _unwrapped(tool: Any) -> Any:
    """A tool of OpenAI's shape, {"type": "function", "function": {...}}, as the function that it wraps."""
    function = tool.get("function") if isinstance(tool, dict) else None
    return function if isinstance(function, dict) and "name" not in tool else tool


def calls_text(raw: Mapping[str, Any], column: str) -> str:
    """A column of calls as JSON text. Calls of OpenAI's shape, whose arguments are JSON text, are written as those of
    all other rows; what isn't is left as it is, to the last character."""
    text = json_text(raw, column)
    if '"function"' not in text and '"arguments": "' not in text and '"arguments":"' not in text:
        return text
    try:
        calls = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(calls, dict):
        calls = calls.get("tool_calls")
    if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
        return text
    functions = [_unwrapped(call) for call in calls]
    if functions == calls and not any(isinstance(call.get("arguments"), str) for call in calls):
        return text
    return f"[{', '.join(map(_call_text, functions))}]"


def _call_text(call: Mapping[str, Any]) -> str:
    """The text of arguments is kept: it may hold numbers that Python would round."""
    arguments = call.get("arguments")
    if not isinstance(arguments, str):
        return json.dumps(call, ensure_ascii=False)
    try:
        json.loads(arguments)
    except (ValueError, RecursionError) as error:
        raise BadRow(f"the arguments of a call are text, and no JSON: {error}, got {shown(arguments)}") from None
    return f'{{"name": {json.dumps(call.get("name"), ensure_ascii=False)}, "arguments": {arguments}}}'


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} isn't JSON")


def read_calls(answers: str) -> list[Call]:
    """``answers``: a list of calls, at least one."""
    try:
        calls = calls_of(decode(answers))
    except (JsonError, NotParsable) as error:
        raise BadRow(f"answers: {error}, got {shown(answers)}") from None
    if not calls:
        raise BadRow("answers are an empty list: there is nothing to verify")
    return calls


def read_accepted(accepted: str) -> list[tuple[str, dict[str, list[Any]]]]:
    """``accepted``: (tool, parameter -> accepted values) of each call."""
    try:
        entries = decode(accepted)
    except JsonError as error:
        raise BadRow(f"accepted isn't JSON: {error}") from None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and len(entry) == 1 for entry in entries):
        raise BadRow(f"accepted must be a list of {{tool: arguments}}, got {shown(accepted)}")
    calls = [next(iter(entry.items())) for entry in entries]
    for name, arguments in calls:
        if not isinstance(arguments, dict) or not all(map(_is_accepted_set, arguments.values())):
            raise BadRow(f"accepted: each argument of {show(name)} needs a list of values")
    return calls


def _is_accepted_set(values: Any) -> bool:
    return isinstance(values, list) and all(map(_is_accepted_value, values))


def _is_accepted_value(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_accepted_set, value.values()))
    return all(map(_is_accepted_value, value)) if isinstance(value, list) else True


def shown(value: Any) -> str:
    """``value`` for an error: at most 80 characters."""
    return clip(repr(value), 80)
