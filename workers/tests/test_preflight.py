"""What a training refuses before it loads a model: the user's errors, with what to do about them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rrr_workers.config import Config, parse_config
from rrr_workers.errors import UserError
from rrr_workers.training import lora, preflight
from rrr_workers.training.memory import GIB, Setup, checkpoint_bytes, model_bytes
from rrr_workers.training.shapes import SHIPPED, Shape
from training_fixtures import training_config

QWEN_7B = Shape.of(SHIPPED["Qwen/Qwen2.5-7B-Instruct"])


def config(model: Path, **train: Any) -> Config:
    return parse_config(training_config(model, train=train))


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """Takes this machine for one with so many GPUs, and so many training processes."""

    def pretend(seen: int, ranks: int) -> None:
        monkeypatch.setattr(preflight, "is_cpu_backend", lambda: False)
        monkeypatch.setattr("torch.cuda.device_count", lambda: seen)
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(ranks))

    return pretend


def test_more_processes_than_gpus_are_refused(gpus: Callable[[int, int], None], tmp_path: Path) -> None:
    gpus(2, 3)
    with pytest.raises(UserError, match="3 training processes on this machine need a GPU each, and torch sees 2"):
        preflight.check_ranks(config(tmp_path))
    gpus(2, 2)
    preflight.check_ranks(config(tmp_path))


def test_gpus_are_not_named_on_a_cpu_machine(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train\.devices \['0'\] names GPUs") as caught:
        preflight.check_ranks(config(tmp_path, devices=["0"]))
    assert "train.processes" in (caught.value.cure or "")
    preflight.check_ranks(config(tmp_path, processes=2))


def test_one_process_shares_a_model_with_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"train\.sharding: fsdp2 splits the model over several processes"):
        preflight.check_ranks(config(tmp_path, sharding="fsdp2"))
    monkeypatch.setenv("WORLD_SIZE", "2")
    preflight.check_ranks(config(tmp_path, sharding="fsdp2"))


def test_a_batch_is_shared_evenly_or_refused(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(UserError, match=r"train\.batch_size 8 can't be shared by 3 processes"):
        preflight.check(config(tiny_model), tmp_path)


LORA = {"rank": 4, "alpha": 8, "dropout": 0.0, "targets": ["q_proj", "o_proj"], "base_dtype": "float32"}


@pytest.mark.parametrize(
    ("targets", "wrong"), [(["q_proj", "c_attn"], "c_attn"), (["lm_heads"], "lm_heads"), (["norm"], "norm")]
)
def test_targets_that_bind_nothing_are_refused(tiny_model: Path, targets: list[str], wrong: str) -> None:
    with pytest.raises(UserError, match=f"has no linear module {wrong}") as caught:
        lora.check_targets(config(tiny_model, lora={**LORA, "targets": targets}))
    assert "q_proj" in (caught.value.cure or "")


@pytest.mark.parametrize("targets", [["q_proj", "o_proj"], ["all-linear"]])
def test_targets_that_are_there_pass(tiny_model: Path, targets: list[str]) -> None:
    lora.check_targets(config(tiny_model, lora={**LORA, "targets": targets}))


def test_a_model_that_cannot_fit_is_refused_before_its_weights_are_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(SHIPPED["Qwen/Qwen2.5-7B-Instruct"]))  # and no weights
    with pytest.raises(UserError, match=r"each training process needs [\d.]+ GiB and has [\d.]+ GiB") as caught:
        preflight.check(config(tmp_path), tmp_path)
    assert "the largest part is" in str(caught.value)
    assert caught.value.cure


SETUP = Setup(dtype="bfloat16", batch_size=256, micro_batch_size=256, tokens=2048, card=80 * GIB)
SMALL = Shape.of(SHIPPED["Qwen/Qwen2.5-1.5B-Instruct"])


def test_the_largest_micro_batch_that_fits_is_taken_unless_one_is_given() -> None:
    checkpointed = replace(SETUP, gradient_checkpointing=True)
    taken = preflight.check_memory(SMALL, checkpointed, 79 * GIB, 79 * GIB, given=False)
    assert 1 <= taken < 256
    assert 256 % taken == 0
    few = replace(checkpointed, micro_batch_size=2)
    assert preflight.check_memory(SMALL, few, 79 * GIB, 79 * GIB, given=True) == 2
    with pytest.raises(UserError, match="each training process needs") as caught:
        preflight.check_memory(SMALL, checkpointed, 79 * GIB, 79 * GIB, given=True)
    assert "train.micro_batch_size" in (caught.value.cure or "")


def test_memory_that_others_have_taken_changes_no_run_but_may_refuse_it() -> None:
    setup = replace(SETUP, gradient_checkpointing=True)
    alone = preflight.check_memory(SMALL, setup, 79 * GIB, 79 * GIB, given=False)
    with pytest.raises(UserError, match=r"\(40\.0 GiB are taken already\)"):
        preflight.check_memory(SMALL, setup, 79 * GIB, 39 * GIB, given=False)
    assert preflight.check_memory(SMALL, setup, 79 * GIB, 78 * GIB, given=False) == alone


def test_a_disk_that_can_not_take_the_checkpoints_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = 3 * checkpoint_bytes(QWEN_7B, SETUP) + model_bytes(QWEN_7B, "bfloat16")
    free = [needed - 1]
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=free[0]))
    with pytest.raises(UserError, match="GiB for 2 checkpoints, one more while it is written, and the model"):
        preflight.check_disk(QWEN_7B, SETUP, tmp_path, keep=2)
    (tmp_path / "earlier").write_bytes(b"1")  # what an earlier attempt has written is there already
    preflight.check_disk(QWEN_7B, SETUP, tmp_path, keep=2)
    free[0] = needed
    preflight.check_disk(QWEN_7B, SETUP, tmp_path, keep=2)


STAMP = {"ranks": 2, "sharding": "none", "versions": {"torch": "2.13.0", "trl": "1.16.0"}}


def stamped(folder: Path, **changed: Any) -> Path:
    checkpoint = folder / "checkpoint-7"
    checkpoint.mkdir()
    (checkpoint / "rrr.json").write_text(json.dumps({**STAMP, **changed}))
    return checkpoint


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"ranks": 4}, "checkpoint 7 was made by 4 processes, and now there are 2"),
        ({"sharding": "fsdp2"}, "checkpoint 7 was made with train.sharding: fsdp2, and now it is none"),
        ({"versions": {"torch": "2.12.0", "trl": "1.16.0"}}, "under other versions: torch 2.12.0, now 2.13.0"),
        ({"versions": {"torch": "2.13.0"}}, "trl none, now 1.16.0"),
    ],
)
def test_another_way_of_making_a_run_can_not_go_on_with_it(changed: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said) as caught:
        preflight.check_stamp(stamped(tmp_path, **changed), STAMP, accept_versions=False)
    assert caught.value.cure


def test_the_same_way_goes_on_and_other_versions_where_they_are_accepted(tmp_path: Path) -> None:
    preflight.check_stamp(stamped(tmp_path), STAMP, accept_versions=False)
    other = {**STAMP, "versions": {"torch": "3.0.0"}}
    preflight.check_stamp(tmp_path / "checkpoint-7", other, accept_versions=True)
    with pytest.raises(UserError, match="made by 2 processes, and now there are 1"):
        preflight.check_stamp(tmp_path / "checkpoint-7", {**STAMP, "ranks": 1}, accept_versions=True)


def test_a_checkpoint_that_does_not_say_how_it_was_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-7").mkdir()
    with pytest.raises(UserError, match="doesn't say how it was made"):
        preflight.check_stamp(tmp_path / "checkpoint-7", STAMP, accept_versions=True)


def test_a_stamp_names_what_decides_a_run(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    stamp = preflight.make_stamp(config(tiny_model))
    assert (stamp["ranks"], stamp["sharding"]) == (4, "none")
    assert {"torch", "trl", "transformers"} < set(stamp["versions"])
    assert "python" not in stamp["versions"]
