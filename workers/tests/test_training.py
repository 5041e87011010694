"""Whole training runs of real TRL and vLLM on a tiny model: events, checkpoints, resume, stop, and stale weights."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from harness import WorkerProcess
from rrr_demos.tiny import countdown_world as world
from rrr_workers.errors import CallFailed, UserError
from rrr_workers.runtime.role import Call
from training_fixtures import STEPS, of_kind, run_training, training_config, write_failures

Run = tuple[Path, dict[str, Any], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_failures(tmp_path_factory.mktemp("failures") / "failures.jsonl")


@pytest.fixture(scope="module")
def unbroken(tiny_model: Path, failures: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run from its first to its last step."""
    output = tmp_path_factory.mktemp("unbroken")
    return output, *run_training(training_config(tiny_model), failures, output)


def weights(model: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(model / "model.safetensors")


def same_weights(one: Path, other: Path) -> bool:
    left, right = weights(one), weights(other)
    return left.keys() == right.keys() and all(left[name].equal(right[name]) for name in left)


def test_a_run_tells_what_it_does(unbroken: Run, tiny_model: Path) -> None:
    output, result, events = unbroken
    assert result == {"step": STEPS, "stopped": False, "model": str(output / "model")}
    assert [event["kind"] for event in events][:2] == ["self_check", "step"]
    (check,) = of_kind(events, "self_check")
    assert check["outside"] == 0
    assert check["inside"] > 0
    steps = of_kind(events, "step")
    assert [event["step"] for event in steps] == [1, 2, 3, 4]
    assert all(event["logprob_difference"] < 1e-5 for event in steps)
    assert all(event["reward"] == pytest.approx(event["second_try"]) for event in steps)
    assert any(event["grad_norm"] > 0.01 for event in steps)
    assert steps[-1]["kl"] > 0
    assert steps[0]["learning_rate"] == pytest.approx(2e-3)
    kept = [output / "checkpoints" / f"checkpoint-{step}" for step in (2, 4)]
    assert [event["path"] for event in of_kind(events, "checkpoint")] == [str(path) for path in kept]
    assert all(path.is_dir() for path in kept)
    assert not same_weights(output / "model", tiny_model)


def test_the_model_opens_in_transformers_and_vllm(
    unbroken: Run, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from vllm import LLM, SamplingParams

    from rrr_workers.config import parse_config
    from rrr_workers.engines.vllm_args import engine_arguments

    model = unbroken[0] / "model"
    text = world.REFLECTION.format(numbers="3,12,7", target=43)
    original, trained = (AutoTokenizer.from_pretrained(folder) for folder in (tiny_model, model))
    chat = [{"role": "user", "content": text}]
    ids = original.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
    assert trained.apply_chat_template(chat, add_generation_prompt=True, return_dict=False) == ids
    config = parse_config(training_config(tiny_model))
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    llm = LLM(**engine_arguments(config, str(model)))
    assert llm.get_tokenizer().encode(text) == original.encode(text)
    prompt = torch.tensor([ids])
    written = AutoModelForCausalLM.from_pretrained(model).generate(prompt, do_sample=False, max_new_tokens=8)
    output = llm.generate([{"prompt_token_ids": ids}], SamplingParams(temperature=0, max_tokens=8), use_tqdm=False)[0]
    assert output.outputs[0].token_ids == written[0, len(ids) :].tolist()


def test_killed_in_the_middle_and_resumed_ends_where_an_unbroken_run_ends(
    unbroken: Run, tiny_model: Path, failures: Path, tmp_path: Path
) -> None:
    output, config = tmp_path / "train", training_config(tiny_model)
    params = {"failures": str(failures), "output": str(output), "resume": False}
    with WorkerProcess("rrr_workers.roles.trainer", tmp_path / "log") as worker:
        worker.start(config)
        assert worker.read_until("ready", 120)["info"]["model"] == str(tiny_model)
        worker.call(1, "train", params)
        told: list[dict[str, Any]] = []
        while not told or told[-1]["kind"] != "checkpoint":
            told.append(worker.read_until("event", 240)["event"])
        assert told[-1]["path"] == str(output / "checkpoints" / "checkpoint-2")
        for pid in worker.group():
            os.kill(pid, signal.SIGKILL)
        worker.wait_until_gone(10)
    # What a kill in the middle of writing the next one leaves.
    half = output / "checkpoints" / ".partial" / "checkpoint-3"
    half.mkdir(parents=True)
    (half / "trainer_state.json").write_text('{"global_step"')

    with pytest.raises(UserError, match="holds checkpoints of an earlier run"):
        run_training(config, failures, output)
    # The line of step 2 was lost, which the checkpoint comes after.
    result, events = run_training(config, failures, output, resume=True, last_step=1)
    assert events[0] == of_kind(told, "step")[1]
    assert events[1] == {"kind": "resumed", "step": 2, "path": str(output / "checkpoints" / "checkpoint-2")}
    assert [event["step"] for event in of_kind(events, "step")] == [2, 3, 4]
    assert same_weights(unbroken[0] / "model", Path(result["model"]))
    finished, events = run_training(config, failures, output, resume=True)
    assert (finished, events) == (result, [])


def test_a_stop_ends_after_the_step_with_a_checkpoint(
    unbroken: Run, tiny_model: Path, failures: Path, tmp_path: Path
) -> None:
    def stop(event: dict[str, Any], call: Call) -> None:
        if event["kind"] == "self_check":
            call.stopping.set()

    config = training_config(tiny_model, train={"micro_batch_size": 8})
    result, events = run_training(config, failures, tmp_path, on_event=stop, resume=True)
    assert result == {"step": 1, "stopped": True, "model": None}
    assert [event["step"] for event in of_kind(events, "checkpoint")] == [1]
    # The micro-batches of the unbroken run made the same step out of two halves.
    (step,), whole = of_kind(events, "step"), of_kind(unbroken[2], "step")[0]
    for field in ("reward", "reflection_tokens", "grad_norm", "logprob_difference"):
        assert step[field] == pytest.approx(whole[field], rel=1e-3, abs=1e-6), field


def test_a_tracker_is_told_every_step(tiny_model: Path, failures: Path, tmp_path: Path) -> None:
    """By transformers' own integration; tensorboardX alone is among the test packages."""
    run_training(training_config(tiny_model, train={"steps": 2, "report_to": ["tensorboard"]}), failures, tmp_path)
    (written,) = (tmp_path / "tensorboard").glob("events.out.tfevents.*")
    told = written.read_bytes()
    assert told.count(b"train/second_try") == 2
    assert told.count(b"train/logprob_difference") == 2


def test_stale_weights_end_the_run_before_they_are_used(
    tiny_model: Path, failures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trl.generation.vllm_generation import VLLMGeneration

    monkeypatch.setattr(VLLMGeneration, "sync_weights", lambda _self: None)
    with pytest.raises(CallFailed, match="the sampler does not have the trainer's weights at step 1") as caught:
        run_training(training_config(tiny_model), failures, tmp_path)
    assert caught.value.retryable is False
    assert "--resume" in (caught.value.cure or "")
    assert of_kind(caught.value.events, "step") == []  # type: ignore[attr-defined]


@pytest.mark.parametrize("lost", ["load", "qkv"])
def test_weights_that_do_not_arrive_end_the_run(
    lost: str, tiny_model: Path, failures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that takes no update is told at the first step after one; a matrix that is lost, within a rotation."""
    from vllm.model_executor.models.llama import LlamaForCausalLM

    from rrr_workers.engines.sync import ROTATION

    load = LlamaForCausalLM.load_weights
    loads = [0]

    def faulty(self: Any, weights: Any) -> Any:
        loads[0] += 1
        named = list(weights)
        if loads[0] > 1 and (lost == "load" or ".1.self_attn." in named[0][0]):  # 1: when the engine is made
            return set()
        return load(self, named)

    monkeypatch.setattr(LlamaForCausalLM, "load_weights", faulty)
    with pytest.raises(CallFailed, match="does not have the trainer's weights") as caught:
        run_training(training_config(tiny_model, train={"steps": ROTATION + 1}), failures, tmp_path)
    steps = of_kind(caught.value.events, "step")  # type: ignore[attr-defined]
    assert len(steps) <= (1 if lost == "load" else ROTATION)
