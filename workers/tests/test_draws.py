"""Drawing until a query has failed, with an engine that says what it is told: what counts, and what is wasted."""

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from harness import resolved_config
from rrr_workers.config import parse_config
from rrr_workers.draws import Drawn, draw_failures
from rrr_workers.engines.base import Completion, Engine, PromptTooLong, SamplingParams
from rrr_workers.episode import Attempt
from rrr_workers.hashing import derive_seed
from rrr_workers.roles.sampler import SamplingRole
from rrr_workers.runtime.role import Call
from rrr_workers.tasks.base import Verdict
from rrr_workers.tasks.registry import load_task


def attempt(passed: bool) -> Attempt:
    completion = Completion("1", [], tokens=2, prompt_tokens=7, finish_reason="stop")
    return Attempt(completion, Verdict(passed, "passed" if passed else "missed_target"))


class Script:
    """Draws that fail where ``failing`` says so. Later ones are done earlier, those from ``endless`` on never."""

    def __init__(self, failing: Callable[[int], bool], raising: int | None = None, endless: int = 1000):
        self._failing = failing
        self._raising = raising
        self._endless = endless
        self.running = self.most_running = 0
        self.started: list[int] = []

    async def draw(self, number: int) -> Attempt:
        self.started.append(number)
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        try:
            await asyncio.sleep(0.001 / (1 + number) if number < self._endless else 3600)
            if number == self._raising:
                raise ValueError(f"draw {number}")
            return attempt(not self._failing(number))
        finally:
            self.running -= 1

    async def run(
        self, at_once: int = 1, max_draws: int = 16, failures_per_query: int = 1, keep_all: bool = False
    ) -> Drawn:
        return await draw_failures(
            self.draw, lambda _: at_once, max_draws=max_draws, failures_per_query=failures_per_query, keep_all=keep_all
        )


@pytest.mark.parametrize("at_once", [1, 3, 100])
@pytest.mark.parametrize(
    ("failing", "options", "draws", "failures"),
    [
        ({5}, {}, 6, [5]),
        ({0, 1, 2}, {}, 1, [0]),
        ({1, 3, 5}, {"failures_per_query": 2}, 4, [1, 3]),
        ({1, 3}, {"failures_per_query": 3}, 16, [1, 3]),
        (set(), {}, 16, []),
        (set(range(16)), {"keep_all": True}, 16, [0]),
        (set(range(16)), {"keep_all": True, "failures_per_query": 3}, 16, [0, 1, 2]),
        ({0, 1, 3}, {"keep_all": True}, 3, []),
    ],
)
async def test_what_counts_is_decided_in_the_order_of_draws(
    at_once: int, failing: set[int], options: dict[str, Any], draws: int, failures: list[int]
) -> None:
    script = Script(failing.__contains__)
    drawn = await script.run(at_once, **options)
    assert drawn.draws == draws
    assert [number for number, _ in drawn.failures] == failures
    assert all(not failed.verdict.passed for _, failed in drawn.failures)
    failed = len(failing & set(range(draws)))
    assert drawn.kinds == Counter(passed=draws - failed, missed_target=failed)
    assert (drawn.prompt_tokens, drawn.completion_tokens) == (7 * draws, 2 * draws)
    # Draws ahead that are cancelled before their turn comes are wasted without being started.
    assert script.started == list(range(len(script.started)))
    assert drawn.draws <= len(script.started) <= drawn.draws + drawn.wasted <= min(16, drawn.draws + at_once - 1)


@pytest.mark.parametrize("at_once", [1, 4])
async def test_no_draw_outlives_its_query(at_once: int) -> None:
    failing = Script(lambda number: number == 2, endless=3)
    raising = Script(lambda _: False, raising=3, endless=4)
    async with asyncio.timeout(5):
        await failing.run(at_once)
        assert failing.running == 0
        with pytest.raises(ValueError, match="draw 3"):
            await raising.run(at_once)
        assert raising.running == 0


@pytest.mark.parametrize("at_once", [1, 3, 100])
@pytest.mark.parametrize("refused", [0, 2, 5])
async def test_a_query_with_a_draw_that_can_not_be_answered_is_left_out(at_once: int, refused: int) -> None:
    script = Script(lambda number: number == 5)
    too_long = PromptTooLong("too long")

    async def draw(number: int) -> Attempt:
        made = await script.draw(number)
        if number == refused:
            raise too_long
        return made

    drawn = await draw_failures(draw, lambda _: at_once, max_draws=16, failures_per_query=1, keep_all=False)
    assert drawn == Drawn(wasted=drawn.wasted, left_out=too_long)
    assert drawn.wasted >= refused
    # What comes after the failure that was needed is as if it had not been asked.
    early = Script(lambda number: number == 1, raising=refused if refused > 1 else None)
    assert (await early.run(at_once)).draws == 2


class Reply(Engine):
    """Answers the draw whose seed is ``failing`` wrongly and all others rightly."""

    def __init__(self, failing: int):
        self.seeds: list[int] = []
        self.running = self.most_running = 0
        self._failing = failing

    async def generate(self, messages: Any, params: SamplingParams, tools: Any = None) -> Completion:
        self.seeds.append(params.seed)
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        try:
            await asyncio.sleep(0)
        finally:
            self.running -= 1
        text = "1" if params.seed == self._failing else "1+2"
        return Completion(f"<answer>{text}</answer>", [], 1, 1, "stop")

    def info(self) -> dict[str, Any]:
        return {}

    async def close(self) -> None: ...


def role(engine: Engine, **workers: int) -> SamplingRole:
    config = parse_config(resolved_config(workers=workers))
    return SamplingRole(config, load_task(config.task), engine)


def mining(query_id: str, max_draws: int) -> Call:
    query = {"id": query_id, "index": 0, "fields": {"nums": [1, 2], "target": 3}}
    params = {"query": query, "max_draws": max_draws, "failures_per_query": 1, "keep": "any"}
    return Call("sample_failures", params, lambda _: None, lambda *_: None, threading.Event())


@pytest.mark.parametrize("failing", range(40))
async def test_at_most_half_of_the_draws_of_a_query_are_wasted(failing: int) -> None:
    engine = Reply(derive_seed(0, "q", "mine", failing))
    found = await role(engine, max_in_flight=256).handle(mining("q", 64))
    assert found["draws"] == failing + 1
    assert found["wasted_draws"] <= found["draws"]
    assert engine.seeds == [derive_seed(0, "q", "mine", number) for number in range(len(engine.seeds))]
    assert found["draws"] <= len(engine.seeds) <= found["draws"] + found["wasted_draws"]


async def test_a_query_alone_draws_ahead_up_to_what_the_engine_takes() -> None:
    for limit in (1, 4, 9):
        engine = Reply(failing=-1)
        await role(engine, max_in_flight=limit).handle(mining("q", 64))
        assert engine.most_running == limit


async def test_queries_that_are_over_take_no_share() -> None:
    engine = Reply(failing=-1)
    alone = role(engine, max_in_flight=8)
    for method in ("sample_failures", "no such method"):
        for _ in range(9):
            with contextlib.suppress(ValueError):
                await alone.handle(replace(mining("q", 1), method=method))
    await alone.handle(mining("q", 64))
    assert engine.most_running == 8


async def test_queries_share_the_engine() -> None:
    engine = Reply(failing=-1)
    shared = role(engine, max_in_flight=8)
    await asyncio.gather(*(shared.handle(mining(str(number), 64)) for number in range(4)))
    assert engine.most_running <= 8
    crowded = Reply(failing=-1)
    shared = role(crowded, max_in_flight=8)
    found = await asyncio.gather(*(shared.handle(mining(str(number), 8)) for number in range(20)))
    assert crowded.most_running == 20  # one of each query
    assert [each["wasted_draws"] for each in found] == [0] * 20


async def test_the_seeds_of_draws_are_those_of_earlier_runs() -> None:
    engine = Reply(failing=-1)
    await role(engine).handle(mining("0123456789abcdef", 4))
    assert engine.seeds == [1529688815, 1127615179, 719569205, 1751594029]
