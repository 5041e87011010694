"""A small world of tools, and requests in it whose calls are known: rows for ``data.source: generator``.

Every request is made from its calls, phrase by phrase, so the answer is in the text word for word. Rows never repeat,
and the tools offered depend on the request's text alone, so that the same text can't be on both sides of a split.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from rrr_workers.errors import UserError

_PATIENCE = 10_000

Values = Sequence[str | int | float | bool]


class ToolWorldOptions(BaseModel):
    """``task.options.generator``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_calls: int = Field(default=2, ge=1, le=4)
    max_tools: int = Field(default=4, ge=1, le=8, description="Tools offered, at least those that are called.")


@dataclass(frozen=True, slots=True, eq=False)
class Tool:
    """``phrase`` has one placeholder a parameter, whose ``values`` are all of one type."""

    name: str
    description: str
    phrase: str
    parameters: dict[str, Values]

    def call(self, rng: random.Random) -> dict[str, Any]:
        """A call with arguments at random."""
        return {"name": self.name, "arguments": {name: rng.choice(values) for name, values in self.parameters.items()}}

    def schema(self) -> dict[str, Any]:
        """The tool in the shape of the data sets: flat parameters."""
        return {
            "name": self.name,
            "description": self.description,
            "parameters": {
                name: {"type": type(values[0]).__name__, "description": name.replace("_", " ")}
                for name, values in self.parameters.items()
            },
        }


_CITIES = (
    *("Oslo", "Lima", "Cairo", "Quito", "Turin", "Kyoto", "Dakar", "Perth"),
    *("Riga", "Accra", "Bern", "Hanoi", "Minsk", "Porto", "Sofia", "Tunis"),
)
_ROOMS = ("kitchen", "attic", "hall", "garage", "study", "cellar", "nursery", "pantry", "library", "porch")
_PEOPLE = ("Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus", "Ida", "Jon", "Kim", "Lea", "Max")
_HOURS = tuple(range(1, 24))
_SMALL = tuple(range(2, 100))

TOOLS = (
    Tool("get_weather", "Weather of a city on a coming day.", "the weather in {city} in {days} days",
         {"city": _CITIES, "days": tuple(range(2, 15))}),
    Tool("set_light", "Dim the light of a room.", "the {room} light at {percent} percent",
         {"room": _ROOMS, "percent": _SMALL}),
    Tool("set_heating", "Set the temperature of a room.", "the {room} heated to {degrees} degrees",
         {"room": _ROOMS, "degrees": tuple(half / 2 for half in range(31, 49, 2))}),
    Tool("set_alarm", "Ring at an hour of the day.", "an alarm at {hour} hours, repeated: {repeat}",
         {"hour": _HOURS, "repeat": (True, False)}),
    Tool("book_table", "Reserve a table.", "a table for {guests} in {city}",
         {"guests": tuple(range(2, 13)), "city": _CITIES}),
    Tool("find_train", "Trains between two cities.", "a train from {origin} to {destination} at {hour} hours",
         {"origin": _CITIES, "destination": _CITIES, "hour": _HOURS}),
    Tool("send_money", "Pay a person.", "{amount} coins sent to {person}", {"amount": _SMALL, "person": _PEOPLE}),
    Tool("call_person", "Call someone at an hour.", "a call to {person} at {hour} hours",
         {"person": _PEOPLE, "hour": _HOURS}),
)  # fmt: skip


def generate_requests(options: ToolWorldOptions, rows: int, seed: int) -> Iterator[dict[str, Any]]:
    """``rows`` rows with the columns query, tools and answers (lists, not text). Deterministic in ``seed``."""
    rng = random.Random(seed)
    seen: set[str] = set()
    tries = 0  # in a row without a new request
    while len(seen) < rows:
        if tries == _PATIENCE:
            raise UserError(
                f"the generator found only {len(seen)} distinct requests, {rows} were asked for (data.rows)",
                cure="ask for fewer rows, or raise task.options.generator.max_calls",
            )
        tries += 1
        called = [rng.choice(TOOLS) for _ in range(rng.randint(1, options.max_calls))]
        answers = [tool.call(rng) for tool in called]
        query = request(called, answers)
        if query not in seen:
            tries = 0
            seen.add(query)
            tools = [tool.schema() for tool in _offered(options, called, random.Random(query))]
            yield {"query": query, "tools": tools, "answers": answers}


def request(tools: Sequence[Tool], calls: Sequence[dict[str, Any]]) -> str:
    """The text that asks for ``calls`` of ``tools``, one by one."""
    phrases = [
        tool.phrase.format_map({name: _spoken(value) for name, value in call["arguments"].items()})
        for tool, call in zip(tools, calls, strict=True)
    ]
    return f"I want {' and '.join(phrases)}."


def _offered(options: ToolWorldOptions, called: Sequence[Tool], rng: random.Random) -> list[Tool]:
    """The tools called and some others, in any order."""
    needed = list(dict.fromkeys(called))
    others = [tool for tool in TOOLS if tool not in needed]
    spare = max(0, options.max_tools - len(needed))
    offered = needed + rng.sample(others, rng.randint(0, min(spare, len(others))))
    rng.shuffle(offered)
    return offered


def _spoken(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
