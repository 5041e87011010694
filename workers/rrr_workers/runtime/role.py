"""What a worker does, apart from how it speaks: roles and the calls they answer."""

import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from rrr_workers.config import Config


@dataclass(frozen=True)
class Call:
    """One request; ``emit`` and ``progress`` send frames that name it, ``stopping`` is set once the parent wants an
    end."""

    method: str
    params: dict[str, Any]
    emit: Callable[[Mapping[str, Any]], None]
    progress: Callable[[str, int, int | None], None]
    stopping: threading.Event


class Role(Protocol):
    """What a worker does. ``handle`` may run many calls at once; ``close`` frees the engine."""

    def info(self) -> dict[str, Any]: ...

    async def handle(self, call: Call) -> Any: ...

    async def close(self) -> None: ...


def day_of(options: Mapping[str, Any]) -> date | None:
    """The date of the run, from ``start.options``; None where it says none."""
    return date.fromisoformat(options["date"]) if "date" in options else None


Build = Callable[[Config, dict[str, Any]], Awaitable[Role]]
