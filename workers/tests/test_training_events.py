"""What a training run tells the command line, when it stops, and which GPU it takes."""

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rrr_workers.config import parse_config
from rrr_workers.errors import CallFailed
from rrr_workers.training.events import Events
from training_fixtures import training_config

LOGS = {  # TRL's key -> the event's field, each with a value of its own
    "reward": "reward",
    "second_try": "second_try",
    "reward_std": "reward_std",
    "kl": "kl",
    "loss": "loss",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
    "completions/mean_length": "reflection_tokens",
    "completions/clipped_ratio": "reflection_truncated",
    "logprob_difference": "logprob_difference",
}


class Told:
    """Events of a run, and what they told."""

    def __init__(self, checkpoint_minutes: float | None = None) -> None:
        self.stopping = threading.Event()
        self.events: list[dict[str, Any]] = []
        self.progress_frames: list[tuple[Any, ...]] = []
        self.rollout = SimpleNamespace(sampled_tokens=1000)
        call: Any = SimpleNamespace(
            emit=self.events.append, progress=lambda *frame: self.progress_frames.append(frame), stopping=self.stopping
        )
        self.callback = Events(call, self.rollout, checkpoint_minutes)  # type: ignore[arg-type]

    def end_step(self, *, first: bool = True) -> tuple[bool, bool]:
        """Whether a checkpoint and the end are wanted then."""
        state: Any = SimpleNamespace(is_world_process_zero=first)
        control: Any = SimpleNamespace(should_save=False, should_training_stop=False)
        self.callback.on_step_end(None, state, control)  # type: ignore[arg-type]
        return control.should_save, control.should_training_stop

    def log(self, logs: dict[str, Any], *, first: bool = True) -> None:
        state: Any = SimpleNamespace(global_step=3, max_steps=4, is_world_process_zero=first, log_history=[{}])
        self.callback.on_log(None, state, None, logs=logs)  # type: ignore[arg-type]


def test_an_event_holds_what_trl_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    clock = iter([100.0, 101.0, 102.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    told.callback.on_step_begin()
    told.rollout.sampled_tokens += 500
    told.end_step()
    told.log({key: number for number, key in enumerate(LOGS, start=1)})
    values = {field: number for number, field in enumerate(LOGS.values(), start=1)}
    timing = {"tokens_per_second": 250.0, "seconds": 2.0}
    assert told.events == [{"kind": "step", "step": 3, **values, **timing}]
    assert told.progress_frames == [("training", 3, 4)]


def test_one_process_tells_of_a_step_and_of_steps_alone() -> None:
    told = Told()
    told.log({key: 1.0 for key in LOGS}, first=False)
    told.log({"train_runtime": 1.0})  # TRL's closing summary
    assert told.events == []
    told.log({**{key: 1.0 for key in LOGS}, "reward_std": None})
    assert told.events[0]["reward_std"] == 0.0


@pytest.mark.parametrize("key", LOGS)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_any_number_that_is_none_ends_the_run(key: str, value: float) -> None:
    told = Told()
    with pytest.raises(CallFailed, match=f"{LOGS[key]} is {value} at step 3: training has diverged") as caught:
        told.log({**{key: 1.0 for key in LOGS}, key: value})
    assert told.events == []
    assert not caught.value.retryable


def test_a_stop_ends_the_run_after_a_step_and_its_checkpoint() -> None:
    told = Told()
    assert told.end_step() == (False, False)
    told.stopping.set()
    assert told.end_step() == (True, True)


def test_a_checkpoint_is_due_when_its_minutes_have_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    told = Told(checkpoint_minutes=2)
    now[0] += 119
    assert told.end_step() == (False, False)
    now[0] += 1
    assert told.end_step(first=False) == (False, False)  # rank 0's clock decides, for all
    assert told.end_step() == (True, False)
    told.callback.on_save()
    assert told.end_step() == (False, False)


def test_what_one_rank_asks_for_and_samples_counts_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = [1.0, 0.0, 300.0]  # stopping, a checkpoint due, tokens
    monkeypatch.setattr(
        "rrr_workers.training.events.sum_over_ranks",
        lambda *mine: [one + other for one, other in zip(mine, elsewhere, strict=True)],
    )
    clock = iter([0.0, 100.0, 101.0, 104.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    told = Told()
    told.callback.on_step_begin()
    told.rollout.sampled_tokens += 100
    assert told.end_step() == (True, True)
    told.log({key: 1.0 for key in LOGS})
    assert told.events[0]["tokens_per_second"] == 100.0


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ({}, "0"),
        ({"CUDA_VISIBLE_DEVICES": "2,3"}, "2"),
        ({"CUDA_VISIBLE_DEVICES": "GPU-7"}, "GPU-7"),
        ({"CUDA_VISIBLE_DEVICES": "2,3", "WORLD_SIZE": "2"}, "2,3"),
        ({"WORLD_SIZE": "2"}, None),
    ],
)
async def test_a_trainer_alone_takes_one_gpu(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: dict[str, str], taken: str | None
) -> None:
    from rrr_workers.roles.trainer import build

    environment = {**given, "HOME": str(tmp_path)}
    monkeypatch.setattr("os.environ", environment)
    await build(parse_config(training_config(tmp_path)), {})
    assert environment.get("CUDA_VISIBLE_DEVICES") == taken
