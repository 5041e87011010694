"""The tools of a row, in the two shapes that data and chat templates use.

xLAM and its kin describe parameters flat: {"base": {"type": "int", "description": ..., "default": ...}}. Chat templates
want the OpenAI shape: {"type": "function", "function": {"name", "description", "parameters": JSON Schema}}.
"""

import json
import re
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from rrr_workers.tasks.base import Query

_TYPES = {
    "str": "string",
    "string": "string",
    "int": "integer",
    "integer": "integer",
    "float": "number",
    "number": "number",
    "bool": "boolean",
    "boolean": "boolean",
    "list": "array",
    "array": "array",
    "tuple": "array",
    "set": "array",
    "dict": "object",
    "object": "object",
}

_FLAT_TYPE = re.compile(r"\s*(?:optional\[)?\s*([a-z]+)?(?:\[\s*([a-z]+))?")


def parameters_of(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """Parameter name -> description, whichever way the tool describes them."""
    parameters: Mapping[str, Any] = tool.get("parameters") or {}
    return parameters["properties"] if _is_json_schema(parameters) else parameters


def to_openai(tool: Mapping[str, Any]) -> dict[str, Any]:
    """A tool as chat templates expect it. Types without a JSON Schema name are left out: the description tells."""
    parameters = tool.get("parameters") or {}
    if not _is_json_schema(parameters):
        parameters = {
            "type": "object",
            "properties": {name: _schema(about) for name, about in parameters.items()},
            "required": [name for name, about in parameters.items() if _is_required(about)],
        }
    function = {"name": tool["name"], "description": tool.get("description", ""), "parameters": parameters}
    return {"type": "function", "function": function}


def _is_json_schema(parameters: Mapping[str, Any]) -> bool:
    return parameters.get("type") == "object" and isinstance(parameters.get("properties"), Mapping)


def _type_of(about: Any) -> str:
    declared = about.get("type") if isinstance(about, Mapping) else None
    return declared if isinstance(declared, str) else ""


def _is_required(about: Any) -> bool:
    optional = "optional" in _type_of(about).lower()
    return not optional and not (isinstance(about, Mapping) and "default" in about)


def _schema(about: Any) -> dict[str, Any]:
    if not isinstance(about, Mapping):
        return {"description": str(about)}
    schema = {key: about[key] for key in ("description", "default", "enum") if key in about}
    word, _ = _words_of_text(_type_of(about))
    if word in _TYPES:
        schema = {"type": _TYPES[word], **schema}
    return schema


def declared_types(tool: Mapping[str, Any]) -> dict[str, tuple[str | None, str | None, bool]]:
    """Parameter -> (its type, that of its items, whether it must be given), for :mod:`bfcl`.

    In flat parameters a type that isn't called optional is required, as in the rows that were made from BFCL's.
    """
    parameters = tool.get("parameters") or {}
    if _is_json_schema(parameters):
        required = parameters.get("required") or []
        return {name: (*_words_of_schema(about), name in required) for name, about in parameters["properties"].items()}
    types = {}
    for name, about in parameters.items():
        declared = _type_of(about)
        types[name] = (*_words_of_text(declared), "optional" not in declared.lower())
    return types


def _words_of_text(declared: str) -> tuple[str | None, str | None]:
    """A flat parameter's type and that of its items, such as ("list", "str") of "Optional[List[str]]"."""
    word, items = _FLAT_TYPE.match(declared.lower()).groups()  # type: ignore[union-attr]  # matches the empty string
    return word, items


def _words_of_schema(about: Any) -> tuple[str | None, str | None]:
    items = about.get("items") if isinstance(about, Mapping) else None
    return _type_of(about) or None, _type_of(items) or None


def tool_statistics(queries: Sequence[Query]) -> dict[str, Any]:
    """Numbers of tools, parameters and calls. A tool is told by its name; one name may have several definitions."""
    offered = [tool for query in queries for tool in query.fields["tools"]]
    calls = [len(json.loads(query.fields["answers"])) for query in queries]
    by_name = {tool["name"]: tool for tool in offered}
    return {
        "tools": len(by_name),
        "tool_definitions": len({json.dumps(tool, sort_keys=True) for tool in offered}),
        "parameters_per_tool": _spread([len(parameters_of(tool)) for tool in by_name.values()]),
        "parameters_per_offered_tool": _spread([len(parameters_of(tool)) for tool in offered]),
        "tools_per_row": _spread([len(query.fields["tools"]) for query in queries]),
        "calls_per_row": _spread(calls),
    }


def _spread(values: Sequence[int]) -> dict[str, float]:
    return {"mean": round(fmean(values), 3), "min": min(values), "max": max(values)} if values else {}
