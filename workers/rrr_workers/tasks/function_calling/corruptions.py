"""Reference answers gone wrong, each with the kind of error it must be judged as: what ``rrr task check`` tries."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rrr_workers.tasks.function_calling.tool_calls import CallFormat

_NEVER = "\u2603 no such value"


def corruptions(fields: Mapping[str, Any], call_format: CallFormat) -> Iterator[tuple[str, str]]:
    """(completion, kind) for every way to go wrong that this row allows; it is the last call that is changed."""
    calls: list[dict[str, Any]] = json.loads(fields["answers"])
    *others, last = calls
    names = {call["name"] for call in calls}
    accepted = json.loads(fields["accepted"])[-1][last["name"]] if "accepted" in fields else {}
    required = [key for key in last["arguments"] if "" not in accepted.get(key, ())]

    def render(*changed: dict[str, Any]) -> str:
        return call_format.render([*others, *changed])

    def with_arguments(**changed: Any) -> str:
        return render({**last, "arguments": {**last["arguments"], **changed}})

    yield "I can't help with that.", "no_call"
    yield render(last).rstrip().rstrip("]}>")[:-1], "not_parsable"
    yield render({**last, "name": f"{last['name']}_{_NEVER}"}), "unknown_tool"
    yield render(last, last), "wrong_number_of_calls"
    if others:
        yield render(), "wrong_number_of_calls"
    if offered := [tool["name"] for tool in fields["tools"] if tool["name"] != last["name"]]:
        yield render({**last, "name": next((name for name in offered if name not in names), offered[0])}), "wrong_tool"
    if required:
        arguments = {key: value for key, value in last["arguments"].items() if key != required[0]}
        yield render({**last, "arguments": arguments}), "missing_argument"
    yield with_arguments(**{_NEVER: 1}), "extra_argument"
    for key, value in last["arguments"].items():
        for wrong in _wrong_values(value):
            if "accepted" not in fields or wrong not in accepted[key]:
                yield with_arguments(**{key: wrong}), "wrong_argument"


def _wrong_values(value: Any) -> Iterator[Any]:
    """Another value; the same under another type; the same with something deep inside changed."""
    yield _NEVER
    if isinstance(value, bool):
        yield int(value)
        yield not value
    elif isinstance(value, int | float):
        yield str(value)
        yield value + 1
    elif isinstance(value, list) and value:
        yield [*value[:-1], next(_wrong_values(value[-1]))]
        yield [*value, value[-1]]
    elif isinstance(value, dict) and value:
        key = next(iter(value))
        yield {**value, key: next(_wrong_values(value[key]))}
        yield {inner: item for inner, item in value.items() if inner != key}
