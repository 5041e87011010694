"""What the trainer tells the command line while it runs (trainEvent of src/protocol/methods.ts), and when it stops."""

import json
import math
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME

from rrr_workers.errors import CallFailed
from rrr_workers.runtime.role import Call
from rrr_workers.training.group import sum_over_ranks
from rrr_workers.training.rollout import Rollout

# Event field -> TRL's log key.
_FIELDS = {
    "reward": "reward",
    "second_try": "second_try",
    "reward_std": "reward_std",
    "kl": "kl",
    "loss": "loss",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
    "reflection_tokens": "completions/mean_length",
    "reflection_truncated": "completions/clipped_ratio",
    "logprob_difference": "logprob_difference",
}
#: Of an entry of the trainer state's log history: the event that told of the step.
_EVENT = "rrr_event"


def missed_steps(checkpoint: Path, last_step: int) -> list[dict[str, Any]]:
    """The events of the steps after ``last_step`` that ``checkpoint`` comes after.

    A trainer whose command line is killed still finishes its step and saves it, when nobody hears of the step any more.
    """
    history = json.loads((checkpoint / TRAINER_STATE_NAME).read_text())["log_history"]
    return [entry[_EVENT] for entry in history if _EVENT in entry and entry["step"] > last_step]


class Events(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """One event a step; a stop that was asked for ends the run after a step and its checkpoint, on every rank.

    ``checkpoint_minutes``: a checkpoint also when so much time has passed since the last one.
    """

    def __init__(self, call: Call, rollout: Rollout, checkpoint_minutes: float | None):
        self._call = call
        self._rollout = rollout
        self._checkpoint_s = math.inf if checkpoint_minutes is None else checkpoint_minutes * 60
        self._begun = 0.0
        self._saved = time.monotonic()
        self._tokens_before = 0
        self._tokens = 0.0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._begun = time.monotonic()
        self._tokens_before = self._rollout.sampled_tokens

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        stop, due, self._tokens = sum_over_ranks(
            self._call.stopping.is_set(),
            state.is_world_process_zero and time.monotonic() - self._saved >= self._checkpoint_s,
            self._rollout.sampled_tokens - self._tokens_before,
        )
        if stop or due:
            control.should_save = True
        if stop:
            control.should_training_stop = True

    def on_save(self, *_: Any, **__: Any) -> None:
        self._saved = time.monotonic()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        if not logs or "loss" not in logs or not state.is_world_process_zero:  # without a loss: the closing summary
            return
        # TRL measures no KL without a KL penalty, and logs None for a deviation over fewer than two rewards.
        values: dict[str, float] = {field: logs.get(key) or 0.0 for field, key in _FIELDS.items()}
        for field, value in values.items():
            if not math.isfinite(value):
                raise CallFailed(
                    f"{field} is {value} at step {state.global_step}: training has diverged",
                    cure="lower train.learning_rate, then go on from the last checkpoint or start again",
                )
        seconds = time.monotonic() - self._begun
        timing = {"tokens_per_second": self._tokens / seconds, "seconds": seconds}
        event = {"kind": "step", "step": state.global_step, **values, **timing}
        state.log_history[-1][_EVENT] = event
        self._call.emit(event)
        self._call.progress("training", state.global_step, state.max_steps)
