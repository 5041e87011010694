"""What `rrr plan` and `rrr init` compute, held against hand counts, simulations and training's preflight."""

import json
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from harness import PACKAGE, resolved_config
from rrr_workers.config import Config, parse_config
from rrr_workers.errors import UserError
from rrr_workers.planning import cards
from rrr_workers.planning.assumptions import Assumptions, Hints, assume
from rrr_workers.planning.cards import GIB, GPUS, find_gpu, find_hardware, parse_hardware
from rrr_workers.planning.choose import Choice, Impossible, choose
from rrr_workers.planning.hours import Engine, sampling_seconds, step_seconds
from rrr_workers.planning.models import Model, find_model
from rrr_workers.planning.resources import estimate
from rrr_workers.planning.work import Load, draws_and_kept, evaluation_load, failures_load, step_loads
from rrr_workers.runtime.frames import PROTOCOL_VERSION
from rrr_workers.training import preflight
from rrr_workers.training.memory import cache_bytes, engine_bytes, fits, parts
from rrr_workers.training.memory_setup import memory_setup
from rrr_workers.training.shapes import SHIPPED

QWEN_7B = "Qwen/Qwen2.5-7B-Instruct"
ARMS = [
    {"name": "base", "model": "base", "failuresOf": None, "follows": {"kind": "reflect"}},
    {"name": "trained", "model": "trained", "failuresOf": None, "follows": {"kind": "reflect"}},
    {"name": "trained_on_base", "model": "trained", "failuresOf": "base", "follows": {"kind": "reflect"}},
]


def config_of(model: str = QWEN_7B, **sections: Any) -> Config:
    changes = {
        "model": {"name": model, "max_model_len": 4096},
        "task": {"name": "countdown"},
        "sampling": {"max_answer_tokens": 1024, "max_reflection_tokens": 512},
        "train": {"batch_size": 256, "micro_batch_size": None, "num_generations": 8, "gradient_checkpointing": True},
    }
    merged = {name: {**changes.get(name, {}), **sections.get(name, {})} for name in {*changes, *sections}}
    return parse_config(resolved_config(**merged))


def shipped(name: str = QWEN_7B) -> Model:
    return find_model(name, fetch=False)


def assumed(config: Config, **given: float) -> Assumptions:
    return assume(config, Hints(train=1000, test=500), given)[0]


def plan_of(config: Config, gpus: str, nodes: int = 1, **given: float) -> dict[str, Any]:
    hardware = parse_hardware(gpus, 1, nodes)
    return estimate(config, shipped(config.model.name), hardware, Hints(1000, 500), ARMS, given)


# Memory: one formula


@pytest.mark.parametrize("model", ["Qwen/Qwen2.5-1.5B-Instruct", QWEN_7B])
@pytest.mark.parametrize(
    "train", [{}, {"sharding": "fsdp2"}, {"micro_batch_size": 32}, {"engine_sleep": True}], ids=str
)
def test_a_plan_refuses_what_training_refuses_and_says_the_same(model: str, train: dict[str, Any]) -> None:
    config = config_of(model, train=train)
    told = plan_of(config, "4x80")
    setup = memory_setup(config, 80 * GIB, ranks=4, dtype="bfloat16")
    room = parse_hardware("4x80", 1).room
    fatal = [each for each in told["warnings"] if each["message"].startswith("training does not fit")]
    given = train.get("micro_batch_size") is not None
    if not told["training"]["fits"]:
        with pytest.raises(UserError) as caught:
            preflight.check_memory(shipped(model).shape, setup, room, room, given=given)
        assert [each["message"] for each in fatal] == [f"training does not fit: {caught.value}"]
        assert fatal[0]["cure"] == caught.value.cure
        return
    size = preflight.check_memory(shipped(model).shape, setup, room, room, given=given)
    assert (fatal, told["training"]["micro_batch_size"]) == ([], size)
    needed = parts(shipped(model).shape, replace(setup, micro_batch_size=size))
    assert told["training"]["total"] == needed.total == sum(told["training"]["parts"].values())


def test_engines_and_processes_that_have_no_gpu_are_told_of() -> None:
    four = [str(number) for number in range(4)]

    def told(model: str, gpus: str, **sections: Any) -> list[tuple[str, str]]:
        made = plan_of(config_of(model, **sections), gpus)["warnings"]
        return [(each["message"], each["cure"]) for each in made if "training does not" not in each["message"]]

    [(message, cure)] = told("Qwen/Qwen2.5-72B-Instruct", "1x80")
    assert message.startswith("a sampling worker needs 137.7 GiB of each GPU")
    assert cure == "sample with a smaller model, or larger GPUs"
    assert ("set engine.tensor_parallel: 2") in dict(told("Qwen/Qwen2.5-72B-Instruct", "8x80")).values()
    small = "Qwen/Qwen2.5-1.5B-Instruct"
    assert told(small, "4x80", workers={"count": 4, "devices": four}) == []
    assert "3 of 4 GPUs are idle" in told(small, "4x80")[0][0]
    assert (
        "4 sampling workers need 4 GPUs, and there are 2"
        in told(small, "2x80", workers={"count": 4, "devices": four})[0][0]
    )
    assert "would all start on the first GPU" in told(small, "4x80", workers={"count": 4})[0][0]
    assert "8 training processes need a GPU each" in told(small, "4x80", train={"processes": 8})[0][0]


@pytest.mark.parametrize("train", [{"batch_size": 100}, {"micro_batch_size": 8}], ids=str)
def test_a_batch_that_the_processes_cannot_share_is_refused(train: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="can't be shared by 64 processes"):
        plan_of(config_of(train=train), "8x80", nodes=8)


# Work: counts against simulations


@pytest.mark.parametrize(
    ("keep", "wanted", "spread"), [("any", 1, 1.0), ("any", 3, 2.0), ("all", 1, 0.5), ("any", 1, 1e6)]
)
def test_draws_and_kept_queries_are_what_a_simulation_finds(keep: str, wanted: int, spread: float) -> None:
    most, rate, random = 16, 0.4, Random(1)
    config = config_of(failures={"keep": keep, "failures_per_query": wanted, "max_draws": most})
    draws, kept = [], 0
    for _ in range(20_000):
        fails = random.betavariate(rate * spread, (1 - rate) * spread)
        outcomes = [random.random() < fails for _ in range(most)]
        if keep == "all":
            stop = outcomes.index(False) + 1 if False in outcomes else most
            kept += False not in outcomes
        else:
            ends = [number for number in range(1, most + 1) if sum(outcomes[:number]) == wanted]
            stop = ends[0] if ends else most
            kept += any(outcomes)
        draws.append(stop)
    told = draws_and_kept(config, assumed(config, failure_rate=rate, spread=spread))
    assert told[0] == pytest.approx(sum(draws) / len(draws), rel=0.03)
    assert told[1] == pytest.approx(kept / len(draws), rel=0.05)


def test_the_tokens_of_the_stages_are_counted_by_hand() -> None:
    given = {"failure_rate": 1.0, "question_tokens": 100, "answer_tokens": 50, "reflection_tokens": 20}
    given |= {"request_tokens": 10, "prefix_hits": 0.5}
    config = config_of(train={"retries_per_reflection": 2})
    known = assumed(config, **given)
    drawn = failures_load(config, known)
    assert (round(drawn.completions), round(drawn.prompt_tokens), round(drawn.completion_tokens)) == (
        1000,
        100_000,
        50_000,
    )
    reflections, retries = step_loads(config, known)
    assert reflections == Load(256, 256 * 160, 256 * 80, 256 * 20)
    assert retries == Load(512, 512 * 190, 512 * 95, 512 * 50)
    # sampled and greedy, 500 queries that all fail: two models try and three arms reflect and retry
    evaluated = evaluation_load(config, known, ARMS)
    assert evaluated.completions == 1000 * (2 + 3 * 2)
    assert evaluated.completion_tokens == 1000 * (2 * 50 + 3 * 70)
    served = config_of(
        eval={
            "baselines": [
                {
                    "name": "big",
                    "openai": {
                        "base_urls": ["http://h/v1"],
                        "model": "m",
                        "api_key_env": "K",
                        "max_retries": 1,
                        "tools": "text",
                    },
                }
            ]
        }
    )
    big = {"name": "big", "model": "big", "failuresOf": None, "follows": {"kind": "reflect"}}
    assert evaluation_load(served, known, [*ARMS, big]) == evaluated
    again = {"name": "more", "model": "base", "failuresOf": "base", "follows": {"kind": "sample", "spendAs": "base"}}
    more = evaluation_load(config, known, [*ARMS, again])
    assert more.completion_tokens - evaluated.completion_tokens == 1000 * 70  # as many as reflection and retry took


# Hours


def test_the_roofline_is_the_slowest_of_memory_computing_and_links() -> None:
    config = config_of()
    gpu, shape = GPUS[0], shipped().shape
    known = assumed(config, bandwidth_share=0.5, prefill_mfu=0.5, engine_ms=0.001, mfu=0.4, update_s=1, longest=1)
    one = Engine("bfloat16", 1, 1, 72 * GIB, 256)
    # one sequence: its 100 tokens are bound by the weights and its cache, in the middle of the writing
    alone = sampling_seconds(shape, one, Load(1, 200, 200, 100), gpu, known)
    held = 2 * shape.parameters + cache_bytes(shape, "bfloat16", 250)
    assert alone == pytest.approx(100 * held / (3350e9 * 0.5))
    # reading 1e6 tokens is bound by computing
    reading = sampling_seconds(shape, one, Load(1, 1e6, 0, 0), gpu, known)
    assert reading == pytest.approx(2 * shape.parameters * 1e6 / (989e12 * 0.5))
    # more at once are faster, up to what the cache holds
    tight = Engine("bfloat16", 1, 1, engine_bytes(shape, "bfloat16", 1000), 256)
    load = Load(1000, 100_000, 0, 100_000)
    assert sampling_seconds(shape, tight, load, gpu, known) > 5 * sampling_seconds(shape, one, load, gpu, known)
    # nothing goes on before the longest is written
    slow = replace(known, longest=4.0)
    waited = sampling_seconds(shape, one, Load(8, 0, 0, 800), gpu, slow, limit=300)
    assert waited == pytest.approx(3 * sampling_seconds(shape, one, Load(8, 0, 0, 800), gpu, slow))

    loads = step_loads(config, known)
    setup = replace(memory_setup(config, 80 * GIB, ranks=8, dtype="bfloat16"), micro_batch_size=8, sharding="fsdp2")
    flops = shape.parameters * (loads[0].prompt_tokens + loads[0].completion_tokens) / 8 * (6 + 2 * 2)
    near, far = parse_hardware("8xh100", 1), parse_hardware("4xh100", 1, nodes=2)
    assert step_seconds(shape, setup, near, gpu, loads, known, (512, 1024)).train == pytest.approx(
        flops / (989e12 * 0.4)
    )
    moved = 4 * 7 / 8 * shape.parameters * (2 * 4 + 4)  # 4 micro-batches: four times the weights, and gradients
    slow_net = replace(known, network_gb_s=1)
    assert step_seconds(shape, setup, far, gpu, loads, slow_net, (512, 1024)).train == pytest.approx(moved / 1e9)


def test_a_card_without_a_data_sheet_has_memory_and_no_hours() -> None:
    told = plan_of(config_of("Qwen/Qwen2.5-1.5B-Instruct"), "1x96")
    assert (told["hours"], told["gpu_hours"], told["step"], told["training"]["fits"]) == (None, None, None, True)
    assert [each["cure"] for each in told["warnings"]] == ["name a card: --gpus 8xh100"]


# Assumptions


def test_every_assumption_is_shown_with_its_reason_and_can_be_set() -> None:
    config = config_of()
    known, listed = assume(
        config, Hints(1000, 500, {"failure_rate": {"value": 0.9, "source": "a paper"}}), {"mfu": 0.5}
    )
    assert [each["name"] for each in listed] == [field.name for field in fields(Assumptions)]
    assert all(each["why"] for each in listed)
    told = {each["name"]: each for each in listed}
    assert (told["failure_rate"]["value"], "a paper" in told["failure_rate"]["why"]) == (0.9, True)
    assert (known.mfu, told["mfu"]["why"].endswith("--assume")) == (0.5, True)
    assert assumed(config_of(sampling={"max_answer_tokens": 7})).answer_tokens == 7


@pytest.mark.parametrize(
    ("given", "message"),
    [({"mfuu": 0.5}, "nothing of that name"), ({"mfu": 1.5}, "mfu=1.5"), ({"failure_rate": -1}, "failure_rate=-1")],
)
def test_an_assumption_that_is_none_is_refused(given: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        assume(config_of(), Hints(1, 1), given)


def test_queries_of_the_papers_data_are_known_and_of_others_asked_for() -> None:
    hub = {"source": "hub", "test_fraction": 0.2, "train_fraction": 0.8, "rows": None}
    known = config_of(data={**hub, "dataset": "Salesforce/xlam-function-calling-60k"})
    found = assume(known, Hints(None, None), {})[0]
    assert (found.train_queries, found.test_queries) == (48_000, 12_000)
    other = config_of(data={**hub, "dataset": "some/rows"})
    with pytest.raises(UserError, match="only known once the data is read") as caught:
        assume(other, Hints(None, None), {})
    assert "--assume train_queries=N" in (caught.value.cure or "")
    assert assume(other, Hints(None, None), {"train_queries": 5, "test_queries": 3})[0].train_queries == 5


# GPUs and models


@pytest.mark.parametrize(
    ("text", "nodes", "total", "gib", "name"),
    [
        ("8x80", 1, 8, 80, "h100"),
        ("80", 2, 6, 80, "h100"),
        ("4xA100", 1, 4, 80, "a100"),
        ("1x4090", 1, 1, 24, "4090"),
        ("1x24", 1, 1, 24, "l4"),
        ("2x96", 2, 4, 96, None),
    ],
)
def test_gpus_are_named_by_their_number_and_size_or_name(
    text: str, nodes: int, total: int, gib: int, name: str | None
) -> None:
    found = parse_hardware(text, 6, nodes)
    assert (found.total, found.card, found.gpu and found.gpu.name) == (total, gib * GIB, name)
    assert found.room < found.card


@pytest.mark.parametrize("text", ["", "8x", "x80", "8x3", "0x80", "8xtpu", "8x80x80", "-1x80", "9999x80"])
def test_what_names_no_gpus_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="no such GPUs") as caught:
        parse_hardware(text, 1)
    assert "h100" in (caught.value.cure or "")


def test_without_options_the_gpus_are_those_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards, "query", lambda _: [["NVIDIA L4", "23034"], ["NVIDIA L4", "23034"]])
    found = find_hardware(8)
    assert (found.gpus, found.card, found.gpu) == (2, 23034 * 2**20, find_gpu("NVIDIA L4"))

    def missing(_: str) -> list[list[str]]:
        raise FileNotFoundError

    monkeypatch.setattr(cards, "query", missing)
    assert (find_hardware(8).gpus, find_hardware(8).card) == (8, 80 * GIB)


def test_a_folders_config_is_read_and_a_model_that_is_not_known_refused(tmp_path: Path) -> None:
    declared = {**SHIPPED[QWEN_7B], "dtype": "float32"}
    (tmp_path / "config.json").write_text(json.dumps(declared))
    found = find_model(str(tmp_path))
    assert (found.shape, found.dtype) == (shipped().shape, "float32")
    assert find_model(str(tmp_path), dtype="float16").dtype == "bfloat16"
    with pytest.raises(UserError, match="can't be read from the hub"):
        find_model("some/model", fetch=False)
    (tmp_path / "config.json").write_text('{"model_type": "mamba"}')
    with pytest.raises(UserError, match="memory can be estimated for"):
        find_model(str(tmp_path))


# What rrr init chooses


@pytest.mark.parametrize("name", [name for name in SHIPPED if "SmolLM" not in name])
@pytest.mark.parametrize(("gpus", "nodes"), [("1x24", 1), ("1x80", 1), ("4x80", 1), ("8x80", 1), ("8x80", 2)])
def test_every_choice_fits_and_an_impossible_one_is_so_in_every_way(name: str, gpus: str, nodes: int) -> None:
    hardware, model = parse_hardware(gpus, 1, nodes), shipped(name)
    made = choose(model, hardware, tokens=4096, batch_size=256)
    large = model.shape.parameters > (4e9 if gpus == "1x24" else 9e9)
    assert isinstance(made, Impossible if large else Choice)
    if isinstance(made, Impossible):
        assert "GiB" in made.reason
        return
    room = (22 if gpus == "1x24" else 76) * GIB
    assert fits(model.shape, made.setup, room)
    assert made.setup.share % made.setup.micro_batch_size == 0
    assert made.setup.ranks == hardware.total
    assert engine_bytes(model.shape, model.dtype, 4096, made.tensor_parallel) <= 0.9 * hardware.card
    assert (made.setup.sharding == "fsdp2") == ("sharding" in made.reasons)
    assert (made.setup.lora is not None) == ("lora" in made.reasons)


def test_all_weights_are_preferred_and_engines_are_split_where_they_must() -> None:
    def setup(name: str, gpus: str) -> Choice:
        made = choose(shipped(name), parse_hardware(gpus, 1), tokens=4096, batch_size=256)
        assert isinstance(made, Choice)
        return made

    assert setup("Qwen/Qwen2.5-1.5B-Instruct", "8x80").setup.sharding == "none"
    assert setup(QWEN_7B, "8x80").setup.sharding == "fsdp2"
    assert setup(QWEN_7B, "1x80").setup.lora is not None
    assert set(setup("microsoft/Phi-3.5-mini-instruct", "1x80").setup.lora.targets) == {  # type: ignore[union-attr, arg-type]
        "qkv_proj", "o_proj", "gate_up_proj", "down_proj"
    }  # fmt: skip
    assert setup("microsoft/Phi-3.5-mini-instruct", "8x24").tensor_parallel > 1


# The light environment

REFUSE = """
import runpy, sys
class Refuse:
    def find_spec(self, name, *_):
        if name.split(".")[0] in {"torch", "vllm", "trl", "peft", "accelerate"}:
            raise ImportError(f"{name} is not installed here")
sys.meta_path.insert(0, Refuse())
runpy.run_module("rrr_workers.roles.plan", run_name="__main__")
"""


def test_a_plan_needs_neither_torch_nor_vllm_nor_trl() -> None:
    config = config_of().model_dump(mode="json")
    plan = {
        "gpus": "8x80",
        "nodes": 1,
        "queries": {"train": 10, "test": 5},
        "known": {},
        "arms": ARMS,
        "assume": {},
    }
    choices = {"models": [QWEN_7B], "hardware": [{"gpus": "4x80", "nodes": 1}], "fetch": False}
    frames = [
        {"type": "start", "protocol": PROTOCOL_VERSION, "config": config, "options": {}},
        {"type": "call", "id": 1, "method": "plan", "params": plan},
        {"type": "call", "id": 2, "method": "choose", "params": choices},
    ]
    command, env = [sys.executable, "-c", REFUSE], {"PYTHONPATH": str(PACKAGE), "HF_HUB_OFFLINE": "1"}
    answered = []
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdin
        assert worker.stdout
        worker.stdin.write("".join(json.dumps(frame) + "\n" for frame in frames))
        worker.stdin.flush()
        for line in worker.stdout:
            answered.append(json.loads(line))
            if sum(each["type"] in ("result", "error") for each in answered) == 2:
                worker.stdin.write('{"type": "stop"}\n')
                worker.stdin.flush()
    results = {each["id"]: each["value"] for each in answered if each["type"] == "result"}
    assert results.keys() == {1, 2}, answered
    assert results[1]["training"]["parts"]["optimizer"] > 0
    assert results[2]["choices"][0]["sharding"] == "fsdp2"
