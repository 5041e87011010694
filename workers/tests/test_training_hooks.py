"""What TRL calls of ours, when, how often and with what: on a real GRPOTrainer, so that another release is noticed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rrr_workers.errors import CallFailed
from training_fixtures import run_training, training_config, write_failures

# One step of two micro-batches; the mask is checked in the first step alone.
SAMPLING = ["generate and score", "sync", "rollout", "wake", "reflect", "retry", "rest", "rewards", "reward function"]
STEP = ["inputs", *SAMPLING, "log-probs", "inputs", "step end", "log"]
FIRST = ["inputs", *SAMPLING, "log-probs", "mask", "inputs", "step end", "log"]

ROLLOUT_KEYS = {"prompt_ids", "completion_ids", "logprobs", "retry_reward"}
REWARD_KEYS = {
    *("prompts", "completions", "completion_ids", "retry_reward"),
    *("trainer_state", "log_extra", "log_metric"),
}
BATCH_KEYS = {
    *("prompt_ids", "prompt_mask", "completion_ids", "completion_mask", "advantages", "num_items_in_batch"),
    *("old_per_token_logps", "importance_sampling_ratio", "sampling_per_token_logps", "ref_per_token_logps"),
}


class Watched:
    """A run of two steps with every hook watched."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        from trl.generation.vllm_generation import VLLMGeneration

        from rrr_workers.training import trainer
        from rrr_workers.training.checks import LogprobCheck
        from rrr_workers.training.engine import ColocatedEngine
        from rrr_workers.training.events import Events
        from rrr_workers.training.rollout import Rollout

        self.calls: list[str] = []
        self.keys: dict[str, set[str]] = {}
        self._monkeypatch = monkeypatch
        ours = trainer.ReflectionTrainer
        self.watch(ours, "_prepare_inputs", "inputs")
        self.watch(ours, "_generate_and_score_completions", "generate and score", lambda _, batch: set(batch))
        self.watch(VLLMGeneration, "sync_weights", "sync")
        self.watch(Rollout, "sample", "rollout", lambda _, sampled: set(sampled))
        self.watch(ColocatedEngine, "wake", "wake")
        self.watch(Rollout, "_reflect", "reflect")
        self.watch(Rollout, "_retry", "retry")
        self.watch(ColocatedEngine, "rest", "rest")
        self.watch(ours, "_calculate_rewards", "rewards")
        self.watch(Rollout, "rewards", "reward function", lambda given, _: set(given))
        self.watch(LogprobCheck, "check", "log-probs")
        self.watch(trainer, "check_mask", "mask")
        self.watch(Events, "on_step_end", "step end")
        self.watch(Events, "on_log", "log")

    def watch(
        self, owner: Any, name: str, called: str, keys: Callable[[Any, Any], set[str]] = lambda _, __: set()
    ) -> None:
        original = getattr(owner, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(called)
            done = original(*args, **kwargs)
            self.keys[called] = keys(kwargs, done)
            return done

        self._monkeypatch.setattr(owner, name, watched)

    def run(self, tiny_model: Path, folder: Path) -> None:
        config = training_config(tiny_model, train={"steps": 2, "beta": 0.1})
        run_training(config, write_failures(folder / "failures.jsonl"), folder)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


def test_the_hooks_of_a_step(watched: Watched, tiny_model: Path, tmp_path: Path) -> None:
    watched.run(tiny_model, tmp_path)
    # The engine rests after it is made; the last log is TRL's closing summary.
    assert watched.calls == ["rest", *FIRST, *STEP, "log"]
    assert watched.keys["rollout"] == ROLLOUT_KEYS
    assert watched.keys["reward function"] == REWARD_KEYS
    assert watched.keys["generate and score"] == BATCH_KEYS


def test_a_hook_under_another_name_is_noticed(
    watched: Watched, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rrr_workers.training.trainer import ReflectionTrainer

    monkeypatch.delattr(ReflectionTrainer, "_calculate_rewards")  # TRL calls another method now
    watched.run(tiny_model, tmp_path)
    assert "rewards" not in watched.calls


def test_a_call_that_is_skipped_is_noticed(
    watched: Watched, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trl.generation.vllm_generation import VLLMGeneration

    monkeypatch.setattr(VLLMGeneration, "sync_weights", lambda _: None)
    with pytest.raises(CallFailed, match="does not have the trainer's weights at step 1: no update was handed over"):
        watched.run(tiny_model, tmp_path)
