"""Sampling with real vLLM engines on a tiny model: seeds, draws ahead, episodes, and what dying processes leave."""

import asyncio
import os
import re
import signal
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from harness import WorkerProcess, resolved_config

from rrr_workers.config import Config, parse_config
from rrr_workers.engines.vllm import VllmEngine
from rrr_workers.protocol import Call
from rrr_workers.sampler import SamplingRole
from rrr_workers.splits import content_hash
from rrr_workers.tasks.base import FinishReason, Query, Verdict
from rrr_workers.tasks.countdown import Countdown
from rrr_workers.tasks.registry import load_task
from rrr_workers.tiny import countdown_world as world

pytestmark = pytest.mark.asyncio(loop_scope="module")

TASK = {
    "name": "countdown",
    "options": {"answer": "whole", "number_separator": ","},
    "prompts": {"question": world.QUESTION, "reflection": world.REFLECTION, "retry": world.RETRY},
}
QUERIES = [
    {
        "id": content_hash(index)[:16],
        "index": index,
        "fields": {"nums": list(problem.numbers), "target": problem.target},
    }
    for index, problem in zip(range(24), world.problems("train"), strict=False)
]


def make_config(model: Path, **sections: Any) -> Config:
    named = {"model": {"name": str(model)}, "task": TASK}
    return parse_config(resolved_config(**{**named, **sections}))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(tiny_model: Path) -> AsyncIterator[VllmEngine]:
    started = await VllmEngine.start(make_config(tiny_model), str(tiny_model))
    yield started
    await started.close()


def make_role(engine: VllmEngine, model: Path, **sections: Any) -> SamplingRole:
    config = make_config(model, **sections)
    return SamplingRole(config, load_task(config.task), engine)


async def handle(role: SamplingRole, method: str, params: dict[str, Any]) -> dict[str, Any]:
    return await role.handle(Call(0, method, params, lambda _: None, lambda *_: None, threading.Event()))


async def mine(role: SamplingRole, query: dict[str, Any], **params: Any) -> dict[str, Any]:
    defaults = {"max_draws": 16, "failures_per_query": 3, "keep": "any"}
    return await handle(role, "mine", {"query": query, **defaults, **params})


async def test_results_depend_on_no_neighbour_and_no_order(engine: VllmEngine, tiny_model: Path) -> None:
    role = make_role(engine, tiny_model)
    together = await asyncio.gather(*(mine(role, query) for query in QUERIES))
    backwards = list(reversed(await asyncio.gather(*(mine(role, query) for query in reversed(QUERIES)))))
    alone = [await mine(role, query) for query in QUERIES[:6]]
    for result in [*together, *backwards, *alone]:
        result["wasted_draws"] = 0
    assert together == backwards
    assert together[:6] == alone
    assert len({failure["completion"] for result in together for failure in result["failures"]}) > 10
    other_seed = await mine(make_role(engine, tiny_model, seed=1), QUERIES[0])
    assert other_seed["failures"] != alone[0]["failures"]


@pytest.mark.parametrize("keep", ["any", "all"])
async def test_draws_made_ahead_change_nothing(engine: VllmEngine, tiny_model: Path, keep: str) -> None:
    one_by_one = make_role(engine, tiny_model, workers={"max_in_flight": 1})
    ahead = make_role(engine, tiny_model, workers={"max_in_flight": 64})
    for query in QUERIES[:4]:
        slow = await mine(one_by_one, query, failures_per_query=9, keep=keep)
        quick = await mine(ahead, query, failures_per_query=9, keep=keep)
        assert slow["wasted_draws"] == 0
        assert quick["wasted_draws"] <= quick["draws"]
        assert {**quick, "wasted_draws": 0} == slow


class Scripted(Countdown):
    """Passes three completions in four, told by their hash: a mix of verdicts that no training has to bring about."""

    def judge(self, query: Query, completion: str, finish_reason: FinishReason) -> Verdict:
        passed = int(content_hash(completion), 16) % 4 != 0
        return Verdict(passed, "passed" if passed else "missed_target")


def scripted_role(engine: VllmEngine, model: Path, task: type[Countdown]) -> SamplingRole:
    config = make_config(model)
    return SamplingRole(config, task(config.task.options, config.task.prompts.model_dump()), engine)


async def test_mine_counts_up_to_the_failure_it_needs(engine: VllmEngine, tiny_model: Path) -> None:
    role = scripted_role(engine, tiny_model, Scripted)
    results = await asyncio.gather(*(mine(role, query, failures_per_query=1, max_draws=8) for query in QUERIES))
    for result in results:
        assert sum(result["kinds"].values()) == result["draws"] <= 8
        if result["failures"]:
            (failure,) = result["failures"]
            assert failure["draw"] == result["draws"] - 1
            assert result["kinds"] == {"passed": failure["draw"], "missed_target": 1} or failure["draw"] == 0
        else:
            assert result["kinds"] == {"passed": 8}
    assert len({result["draws"] for result in results}) > 2

    for query, any_failure in zip(QUERIES, results, strict=True):
        all_failures = await mine(role, query, failures_per_query=1, max_draws=8, keep="all")
        first_passed = any_failure["draws"] > 1 or not any_failure["failures"]
        assert (all_failures["kinds"].get("passed", 0) == 1) >= first_passed
        assert bool(all_failures["failures"]) == ("passed" not in all_failures["kinds"])


async def test_episode_reflects_on_what_failed(engine: VllmEngine, tiny_model: Path) -> None:
    role = make_role(engine, tiny_model)
    params = {"query": QUERIES[0], "mode": "sampled", "purpose": "eval"}
    episode = await handle(role, "episode", params)
    assert episode["first"]["verdict"]["passed"] is False
    again = await handle(role, "episode", {**params, "failed_answer": episode["first"]["completion"]})
    assert again == {**episode, "first": None}
    other = await handle(role, "episode", {**params, "purpose": "eval-2"})
    assert other["first"] != episode["first"]
    greedy = [await handle(role, "episode", {**params, "mode": "greedy", "purpose": p}) for p in ("a", "b")]
    assert greedy[0] == greedy[1]


async def test_a_passed_first_try_ends_the_episode(engine: VllmEngine, tiny_model: Path) -> None:
    class Pleased(Countdown):
        def judge(self, query: Query, completion: str, finish_reason: FinishReason) -> Verdict:
            return Verdict(True, "passed")

    role = scripted_role(engine, tiny_model, Pleased)
    episode = await handle(role, "episode", {"query": QUERIES[0], "mode": "greedy", "purpose": "eval"})
    assert (episode["reflection"], episode["second"]) == (None, None)


async def test_a_verifier_that_raises_is_no_verdict(engine: VllmEngine, tiny_model: Path) -> None:
    class Broken(Countdown):
        def judge(self, query: Query, completion: str, finish_reason: FinishReason) -> Verdict:
            raise ZeroDivisionError("a bug")

    role = scripted_role(engine, tiny_model, Broken)
    with pytest.raises(ZeroDivisionError):
        await mine(role, QUERIES[0])


async def test_a_query_that_does_not_fit_has_no_draws_and_fails(engine: VllmEngine, tiny_model: Path) -> None:
    role = make_role(engine, tiny_model, sampling={"max_answer_tokens": 250})
    result = await mine(role, QUERIES[0])
    assert (result["draws"], result["wasted_draws"], result["failures"]) == (0, 0, [])
    params = {"query": QUERIES[0], "mode": "sampled", "purpose": "eval"}
    episode = await handle(role, "episode", params)
    assert episode["first"]["verdict"]["kind"] == "prompt_too_long"
    assert re.match(r"a prompt of \d+ tokens and up to 250 new ones exceed", episode["first"]["verdict"]["detail"])
    assert (episode["reflection"], episode["second"]) == (None, None)


async def test_a_reflection_that_does_not_fit_is_a_failed_second_try(engine: VllmEngine, tiny_model: Path) -> None:
    role = make_role(engine, tiny_model, sampling={"max_reflection_tokens": 240})
    params = {"query": QUERIES[0], "mode": "sampled", "purpose": "eval"}
    for answer in ({}, {"failed_answer": "1"}):
        episode = await handle(role, "episode", {**params, **answer})
        assert (episode["first"] is None) == bool(answer)
        assert episode["reflection"] is None
        assert episode["second"]["verdict"]["kind"] == "prompt_too_long"


async def test_the_engine_sees_the_ids_of_the_chat_template(engine: VllmEngine, tiny_model: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    messages = [{"role": "user", "content": "Use 3,12,7 to make 43."}]
    expected = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert engine.encode(messages) == expected
    assert engine.info()["dtype"] == "float32"


async def test_dying_processes_leave_nothing_behind(tiny_model: Path, tmp_path: Path) -> None:
    """Two real workers in the middle of work: one loses its engine, the other its parent."""
    config = make_config(tiny_model, workers={"count": 2}).model_dump()
    with (
        WorkerProcess("rrr_workers.sampler", tmp_path / "engineless.log") as engineless,
        WorkerProcess("rrr_workers.sampler", tmp_path / "orphan.log") as orphan,
    ):
        for index, worker in enumerate((engineless, orphan)):
            worker.start(config, {"model": str(tiny_model), "index": index})
        for worker in (engineless, orphan):
            worker.read_until("ready", 400)
            assert len(worker.group()) >= 4  # guardian, worker, engine core, engine worker
            for index, query in enumerate(QUERIES):
                params = {"query": query, "max_draws": 10_000, "failures_per_query": 10_000, "keep": "any"}
                worker.call(index, "mine", params)
        os.kill(_pid_named(engineless, "VLLM::EngineCor"), signal.SIGKILL)
        orphan.close_pipes()
        orphan.wait_until_gone(10)  # its worker gives up, its guardian ends the engine
        frames = iter(lambda: engineless.read(20), None)
        errors = [frame["error"] for frame in frames if frame["type"] == "error" and frame["id"] is None]
        assert [error["type"] for error in errors] == ["worker"]
        assert engineless.process.wait(10) == 1
        engineless.wait_until_gone(10)


def _pid_named(worker: WorkerProcess, name: str) -> int:
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") for pid in worker.group()}
    (pid,) = [pid for pid, command in commands.items() if name in command and "guardian" not in command]
    return pid
