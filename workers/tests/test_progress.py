"""A call tells that it makes progress, often enough for its timeout and not more often than that."""

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

from harness import resolved_config
from rrr_workers.config import parse_config
from rrr_workers.engines.base import Completion, Engine, SamplingParams
from rrr_workers.roles.sampler import SamplingRole
from rrr_workers.runtime.role import Call
from rrr_workers.tasks.countdown.task import Countdown
from rrr_workers.tasks.loaded import LoadedTask

TIMEOUT_S = 0.4


class Slow(Engine):
    """Takes its time for every completion, and solves nothing."""

    async def generate(self, messages: Any, params: SamplingParams, tools: Any = None) -> Completion:
        await asyncio.sleep(TIMEOUT_S / 8)
        return Completion("no", [], 1, 1, "stop")

    def info(self) -> dict[str, Any]:
        return {}

    async def close(self) -> None:
        pass


def reports_of(method: str, params: Mapping[str, Any]) -> tuple[list[int], float]:
    """What a call reported as done, and the seconds that it took."""
    config = parse_config(resolved_config(workers={"call_timeout_s": TIMEOUT_S, "max_in_flight": 1}))
    task = Countdown()
    role = SamplingRole(config, LoadedTask(task, task), Slow())
    query = {"id": "q", "index": 0, "fields": {"nums": [1, 2], "target": 3}}
    done: list[int] = []

    async def run() -> float:
        loop = asyncio.get_running_loop()
        started = loop.time()
        call = Call(
            method, {"query": query, **params}, lambda _: None, lambda _, n, __: done.append(n), threading.Event()
        )
        await role.handle(call)
        return loop.time() - started

    return done, asyncio.run(run())


def test_draws_report() -> None:
    done, seconds = reports_of("sample_failures", {"max_draws": 20, "failures_per_query": 20, "keep": "any"})
    assert done == sorted(done)
    assert seconds / TIMEOUT_S <= len(done) <= 4 * seconds / TIMEOUT_S


def test_episodes_report() -> None:
    params = {
        "decoding": "sampled",
        "purpose": "eval",
        "failed_answer": None,
        "retry": {"kind": "reflect", "rounds": 6, "gated": True},
    }
    done, seconds = reports_of("episode", params)
    assert seconds / TIMEOUT_S <= len(done) <= 4 * seconds / TIMEOUT_S
