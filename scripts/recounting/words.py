"""Queries and answers as the report writes them for people."""

import json
import re

from .run import Json
from .spelling import plain


def title(fields: str) -> str:
    """A query in a line."""
    parsed: Json = json.loads(fields)
    if isinstance(parsed.get("query"), str) and isinstance(parsed.get("tools"), list):
        return _one_line(parsed["query"])
    return _one_line(" · ".join(f"{name}: {_value(value)}" for name, value in parsed.items()))


def calls(text: str) -> str:
    """An answer with its tool calls as calls."""
    shown = re.sub(r"<tool_call>\s*(.*?)\s*</tool_call>", lambda found: _calls(found[1]) or found[0], text, flags=re.S)
    return shown if shown != text else _calls(text) or text


def js_json(value: object) -> str:
    """As JSON.stringify writes it."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{js_json(key)}:{js_json(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(js_json, value)) + "]"
    if isinstance(value, float):
        return plain(value)
    return json.dumps(value, ensure_ascii=False)


def _value(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and not any(isinstance(each, dict | list) or each is None for each in value):
        return ", ".join(each if isinstance(each, str) else js_json(each) for each in value)
    return js_json(value)


def _calls(text: str) -> str | None:
    try:
        parsed = json.loads(text)
    except json.JSONDecodeError:
        return None
    found = parsed if isinstance(parsed, list) else [parsed]
    shown = [_call(each) for each in found]
    return "\n".join(each or "" for each in shown) if shown and None not in shown else None


def _call(call: object) -> str | None:
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        return None
    given = call.get("arguments", call.get("parameters"))
    if not isinstance(given, dict):
        return None
    return f"{call['name']}({', '.join(f'{name}={js_json(value)}' for name, value in given.items())})"


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
