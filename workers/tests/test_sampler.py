"""Sampling with real vLLM engines on a tiny model: seeds, draws ahead, episodes, and what dying processes leave."""

import asyncio
import json
import os
import re
import shutil
import signal
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import torch
from safetensors.torch import load_file, save_file

from harness import WorkerProcess, command_of, resolved_config
from rrr_demos.tiny import countdown_world as world
from rrr_workers.config import Config, parse_config
from rrr_workers.engines.vllm import VllmEngine
from rrr_workers.episode import Decoding, next_prompt
from rrr_workers.errors import UserError
from rrr_workers.hashing import content_hash, derive_seed
from rrr_workers.roles.sampler import SamplingRole
from rrr_workers.runtime.role import Call
from rrr_workers.tasks.base import FinishReason, Query, Verdict
from rrr_workers.tasks.countdown.task import Countdown
from rrr_workers.tasks.loaded import LoadedTask
from rrr_workers.tasks.registry import load_task

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
    return await role.handle(Call(method, params, lambda _: None, lambda *_: None, threading.Event()))


async def mine(role: SamplingRole, query: dict[str, Any], **params: Any) -> dict[str, Any]:
    defaults = {"max_draws": 16, "failures_per_query": 3, "keep": "any"}
    return await handle(role, "sample_failures", {"query": query, **defaults, **params})


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
    made = task(config.task.options, config.task.prompts.model_dump())
    return SamplingRole(config, LoadedTask(made, made), engine)


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


async def episode_of(role: SamplingRole, query: dict[str, Any], **params: Any) -> dict[str, Any]:
    retry = {"kind": "reflect", "rounds": params.pop("rounds", 1), "gated": True}
    defaults = {"decoding": "sampled", "purpose": "eval", "failed_answer": None, "retry": retry}
    return await handle(role, "episode", {"query": query, **defaults, **params})


async def test_episode_reflects_on_what_failed(engine: VllmEngine, tiny_model: Path) -> None:
    role = make_role(engine, tiny_model)
    episode = await episode_of(role, QUERIES[0])
    assert episode["first"]["verdict"]["passed"] is False
    assert len(episode["rounds"]) == 1
    again = await episode_of(role, QUERIES[0], failed_answer=episode["first"]["completion"])
    assert re.fullmatch("[0-9a-f]{16}", episode.pop("prompt"))
    assert again == {**episode, "first": None}
    other = await episode_of(role, QUERIES[0], purpose="eval-2")
    assert other["first"] != episode["first"]
    greedy = [await episode_of(role, QUERIES[0], decoding="greedy", purpose=p) for p in ("a", "b")]
    assert greedy[0] == greedy[1]


async def test_further_rounds_follow_a_failed_retry_and_change_nothing_before_it(
    engine: VllmEngine, tiny_model: Path
) -> None:
    config = make_config(tiny_model)
    role = make_role(engine, tiny_model)
    one, three = [await episode_of(role, QUERIES[0], rounds=rounds) for rounds in (1, 3)]
    assert [each["retry"]["verdict"]["passed"] for each in three["rounds"]] == [False] * 3
    assert three["first"] == one["first"]
    assert three["rounds"][0] == one["rounds"][0]
    # The seed of each completion is its number in the episode, and its prompt holds all before it.
    loaded = load_task(config.task)
    query = Query(QUERIES[0]["id"], QUERIES[0]["fields"])
    said = [three["first"]["completion"]]
    for each in three["rounds"]:
        said += [each["reflection"]["completion"], each["retry"]["completion"]]
    decoding = Decoding(config, loaded)
    for number, text in enumerate(said):
        seed = derive_seed(config.seed, query.id, "eval", number)
        params = decoding.reflection(seed) if number % 2 else decoding.answer(seed)
        done = await engine.generate(next_prompt(loaded, query, said[:number]), params)
        assert done.text == text
    assert (await episode_of(role, QUERIES[0], rounds=0))["rounds"] == []
    passing = scripted_role(engine, tiny_model, Scripted)
    for query_json in QUERIES[:6]:
        episode = await episode_of(passing, query_json, rounds=4)
        verdicts = [episode["first"], *(each["retry"] for each in episode["rounds"])]
        assert [each["verdict"]["passed"] for each in verdicts[:-1]] == [False] * (len(verdicts) - 1)


async def test_a_given_reflection_does_what_the_same_one_of_its_own_does(engine: VllmEngine, tiny_model: Path) -> None:
    role = make_role(engine, tiny_model)
    for decoding in ("sampled", "greedy"):
        episode = await episode_of(role, QUERIES[0], decoding=decoding)
        (own,) = episode["rounds"]
        failed = {"decoding": decoding, "failed_answer": episode["first"]["completion"]}
        given = {"kind": "given", "reflection": own["reflection"]["completion"]}
        assert (await episode_of(role, QUERIES[0], **failed, retry=given))["rounds"] == [{**own, "reflection": None}]
        bare, hinted = [await episode_of(role, QUERIES[0], **failed, retry={"kind": kind}) for kind in ("bare", "hint")]
        prompts = [made["rounds"][0]["retry"]["prompt_tokens"] for made in (bare, hinted)]
        assert len({*prompts, own["retry"]["prompt_tokens"]}) == 3


async def test_a_passed_first_try_ends_the_episode(engine: VllmEngine, tiny_model: Path) -> None:
    class Pleased(Countdown):
        def judge(self, query: Query, completion: str, finish_reason: FinishReason) -> Verdict:
            return Verdict(True, "passed")

    role = scripted_role(engine, tiny_model, Pleased)
    episode = await episode_of(role, QUERIES[0], decoding="greedy")
    assert episode["rounds"] == []


async def test_a_verifier_that_raises_is_no_verdict(engine: VllmEngine, tiny_model: Path) -> None:
    class Broken(Countdown):
        def judge(self, query: Query, completion: str, finish_reason: FinishReason) -> Verdict:
            raise ZeroDivisionError("a bug")

    role = scripted_role(engine, tiny_model, Broken)
    message = rf"query {QUERIES[0]['id']}: judge raised ZeroDivisionError: a bug, at .*test_sampler.py"
    with pytest.raises(UserError, match=message):
        await mine(role, QUERIES[0])


async def test_a_query_that_does_not_fit_has_no_draws_and_fails(engine: VllmEngine, tiny_model: Path) -> None:
    role = make_role(engine, tiny_model, sampling={"max_answer_tokens": 250})
    result = await mine(role, QUERIES[0])
    assert (result["draws"], result["wasted_draws"], result["failures"]) == (0, 0, [])
    episode = await episode_of(role, QUERIES[0])
    assert episode["first"]["verdict"]["kind"] == "prompt_too_long"
    assert re.match(r"a prompt of \d+ tokens and up to 250 new ones exceed", episode["first"]["verdict"]["detail"])
    assert episode["rounds"] == []


async def test_a_reflection_that_does_not_fit_is_a_failed_second_try(engine: VllmEngine, tiny_model: Path) -> None:
    role = make_role(engine, tiny_model, sampling={"max_reflection_tokens": 240})
    for answer in ({}, {"failed_answer": "1"}):
        episode = await episode_of(role, QUERIES[0], rounds=2, **answer)
        assert (episode["first"] is None) == bool(answer)
        (only,) = episode["rounds"]
        assert only["reflection"] is None
        assert only["retry"]["verdict"]["kind"] == "prompt_too_long"
    tight = make_role(engine, tiny_model, sampling={"max_answer_tokens": 150, "max_reflection_tokens": 150})
    (only,) = (await episode_of(tight, QUERIES[0], failed_answer="1+" * 30))["rounds"]
    assert only["reflection"]["tokens"] > 0
    assert only["retry"]["verdict"]["kind"] == "prompt_too_long"


async def test_the_engine_sees_the_ids_of_the_chat_template(engine: VllmEngine, tiny_model: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    messages = [{"role": "user", "content": "Use 3,12,7 to make 43."}]
    expected = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert engine.encoder.encode(messages) == expected
    assert engine.info()["dtype"] == "float32"


async def test_dying_processes_leave_nothing_behind(tiny_model: Path, tmp_path: Path) -> None:
    """Two real workers in the middle of work: one loses its engine, the other its parent."""
    config = make_config(tiny_model, workers={"count": 2}).model_dump()
    with (
        WorkerProcess("rrr_workers.roles.sampler", tmp_path / "engineless.log") as engineless,
        WorkerProcess("rrr_workers.roles.sampler", tmp_path / "orphan.log") as orphan,
    ):
        for index, worker in enumerate((engineless, orphan)):
            worker.start(config, {"model": str(tiny_model), "index": index})
        for worker in (engineless, orphan):
            worker.read_until("ready", 400)
            assert len(worker.group()) >= 4  # guardian, worker, engine core, engine worker
            for index, query in enumerate(QUERIES):
                params = {"query": query, "max_draws": 10_000, "failures_per_query": 10_000, "keep": "any"}
                worker.call(index, "sample_failures", params)
        os.kill(_pid_named(engineless, "VLLM::EngineCor"), signal.SIGKILL)
        orphan.close_pipes()
        orphan.wait_until_gone(10)  # its worker gives up, its guardian ends the engine
        frames = iter(lambda: engineless.read(20), None)
        last = [frame for frame in frames if frame["type"] != "result"]
        assert [(frame["type"], frame["error"]["type"]) for frame in last] == [("fatal", "worker")]
        assert engineless.process.wait(10) == 1
        engineless.wait_until_gone(10)


def _pid_named(worker: WorkerProcess, name: str) -> int:
    (pid,) = [pid for pid in worker.group() if name in command_of(pid) and "guardian" not in command_of(pid)]
    return pid


async def test_a_worker_that_takes_another_model_samples_as_one_that_started_with_it(
    tiny_model: Path, tmp_path: Path
) -> None:
    """Token for token, though its engine has cached prompts of the first model; also back again."""
    other, cut = altered(tiny_model, tmp_path / "other"), shutil.copytree(tiny_model, tmp_path / "cut")
    described = json.loads((cut / "config.json").read_text(encoding="utf-8"))
    (cut / "config.json").write_text(json.dumps({**described, "num_hidden_layers": 2}), encoding="utf-8")
    config = resolved_config(model={"name": str(tiny_model)}, task=TASK)
    role = "rrr_workers.roles.sampler"
    with WorkerProcess(role, tmp_path / "a.log") as switched, WorkerProcess(role, tmp_path / "b.log") as fresh:
        for worker, model in ((switched, tiny_model), (fresh, other)):
            worker.read_until("hello")
            worker.start(config, {"model": str(model), "index": 0})
        for worker in (switched, fresh):
            worker.read_until("ready", 400)

        def load(model: Path) -> dict[str, Any]:
            switched.call(0, "load_model", {"model": str(model)})
            return switched.read(60) or {}

        before = answers(switched)
        assert load(cut)["error"]["type"] == "call"
        assert answers(switched) == before  # what is refused is not begun
        assert load(other)["value"]["model"] == str(other)
        assert answers(switched) == answers(fresh) != before
        assert load(tiny_model)["type"] == "result"
        assert answers(switched) == before


def answers(worker: WorkerProcess) -> list[Any]:
    for index, query in enumerate(QUERIES):
        retry = {"kind": "reflect", "rounds": 1, "gated": True}
        params = {"query": query, "decoding": "sampled", "purpose": "", "failed_answer": None, "retry": retry}
        worker.call(index, "episode", params)
    found = [worker.read_until("result", 100) for _ in QUERIES]
    return [frame["value"] for frame in sorted(found, key=lambda frame: frame["id"])]


def altered(model: Path, target: Path) -> Path:
    """A copy of the model with other weights."""
    shutil.copytree(model, target)
    weights = load_file(target / "model.safetensors")
    generator = torch.Generator().manual_seed(1)
    moved = {name: each * (1 + 0.1 * torch.randn(each.shape, generator=generator)) for name, each in weights.items()}
    save_file(moved, target / "model.safetensors", {"format": "pt"})
    return target
