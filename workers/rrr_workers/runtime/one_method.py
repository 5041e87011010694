"""The role of a worker that answers a single method: prepare, train, check, stats."""

import asyncio
from collections.abc import Callable
from typing import Any

from rrr_workers.runtime.role import Call


class OneMethod:
    """``answer`` blocks, so it runs in a thread: the loop must see a stop meanwhile."""

    def __init__(self, method: str, answer: Callable[[Call], dict[str, Any]], info: dict[str, Any]):
        self._method = method
        self._answer = answer
        self._info = info

    def info(self) -> dict[str, Any]:
        return self._info

    async def handle(self, call: Call) -> dict[str, Any]:
        if call.method != self._method:
            raise ValueError(f"unknown method {call.method!r}")
        return await asyncio.to_thread(self._answer, call)

    async def close(self) -> None:
        """Nothing: what such a worker holds ends with its process."""
