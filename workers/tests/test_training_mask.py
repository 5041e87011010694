"""Only reflections learn: gradients of TRL's own loss on a tiny model, with and without the retry in the sequence."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from datasets import Dataset
from trl import GRPOTrainer

from rrr_workers.config import parse_config
from rrr_workers.errors import BugError, CallFailed
from rrr_workers.training.checks import LogprobCheck, check_mask, token_gradients
from rrr_workers.training.config import grpo_config
from training_fixtures import training_config

PROMPTS = [[11, 12, 13, 14, 15], [21, 22, 23]]
REFLECTIONS = [[31, 32], [41, 42, 43, 44]]
RETRIES = [[51, 52, 53], [61, 62]]
SPANS = {
    "without": {(*p, *r): range(len(p), len(p) + len(r)) for p, r in zip(PROMPTS, REFLECTIONS, strict=True)},
    "with": {
        (*p, *r, *t): range(len(p), len(p) + len(r)) for p, r, t in zip(PROMPTS, REFLECTIONS, RETRIES, strict=True)
    },
}


@pytest.fixture(scope="module", params=["grpo", "bnpo", "dr_grpo", "dapo"])
def trainer(request: pytest.FixtureRequest, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> GRPOTrainer:
    """TRL's trainer under rrr's arguments, without an engine."""
    config = parse_config(
        training_config(tiny_model, train={"loss_type": request.param, "beta": 0.1, "micro_batch_size": 8})
    )
    made = GRPOTrainer(
        model=str(tiny_model),
        args=grpo_config(config, tmp_path_factory.mktemp("trainer")),
        reward_funcs=lambda **_: [0.0],
        train_dataset=Dataset.from_dict({"prompt": ["0"]}),
    )
    made.use_vllm = True
    made.current_gradient_accumulation_steps = 1
    made.model.train()
    return made


def pad(rows: list[list[int]], *, left: bool) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(map(len, rows))
    gaps = [[0] * (width - len(row)) for row in rows]
    ids = [gap + row if left else row + gap for gap, row in zip(gaps, rows, strict=True)]
    ones = [[1] * len(row) for row in rows]
    mask = [gap + one if left else one + gap for gap, one in zip(gaps, ones, strict=True)]
    return torch.tensor(ids), torch.tensor(mask)


def batch(*, retries: bool, masked: bool = True) -> dict[str, Any]:
    """What TRL's trainer builds of two rollouts; with ``retries`` appended as an environment's tokens would be."""
    appended = RETRIES if retries else [[], []]
    prompt_ids, prompt_mask = pad(PROMPTS, left=True)
    completions = [reflection + retry for reflection, retry in zip(REFLECTIONS, appended, strict=True)]
    completion_ids, completion_mask = pad(completions, left=False)
    trained = [
        [1] * len(reflection) + [0] * len(retry) for reflection, retry in zip(REFLECTIONS, appended, strict=True)
    ]
    shape = completion_ids.shape
    return {
        "prompt_ids": prompt_ids,
        "prompt_mask": prompt_mask,
        "completion_ids": completion_ids,
        "completion_mask": completion_mask,
        "tool_mask": pad(trained, left=False)[0] if masked else torch.ones(shape, dtype=torch.long),
        "advantages": torch.tensor([0.7, -1.3]),
        "importance_sampling_ratio": torch.ones(shape),
        "ref_per_token_logps": torch.full(shape, -3.0),
        "num_items_in_batch": torch.tensor(sum(map(len, REFLECTIONS))),
    }


def parameter_gradients(trainer: GRPOTrainer, inputs: dict[str, Any]) -> dict[str, torch.Tensor]:
    trainer.model.zero_grad()
    trainer.compute_loss(trainer.model, inputs).backward()
    return {name: value.grad.clone() for name, value in trainer.model.named_parameters() if value.grad is not None}


def test_a_masked_retry_changes_no_gradient(trainer: GRPOTrainer) -> None:
    without = parameter_gradients(trainer, batch(retries=False))
    masked = parameter_gradients(trainer, batch(retries=True))
    unmasked = parameter_gradients(trainer, batch(retries=True, masked=False))
    assert max(gradient.abs().max() for gradient in without.values()) > 1e-4
    for name, gradient in without.items():
        torch.testing.assert_close(masked[name], gradient, rtol=1e-4, atol=1e-6)
    assert any((unmasked[name] - gradient).abs().max() > 1e-4 for name, gradient in without.items())


def test_only_tokens_of_reflections_have_a_gradient(trainer: GRPOTrainer) -> None:
    trainer._metrics["train"].clear()
    check = check_mask(trainer, batch(retries=False), SPANS["without"])
    assert (check.outside, check.inside > 0) == (0, True)
    check = check_mask(trainer, batch(retries=True), SPANS["with"])
    assert (check.outside, check.inside > 0) == (0, True)
    gradients = token_gradients(trainer, batch(retries=True))
    assert (gradients != 0).tolist() == [
        [False] * 5 + [True] * 2 + [False] * 4,
        [False] * 5 + [True] * 4 + [False] * 2,
    ]
    assert trainer._metrics["train"] == {}


def test_a_wrong_mask_is_refused(trainer: GRPOTrainer) -> None:
    with pytest.raises(BugError, match="the loss mask is wrong: outside of the reflections"):
        check_mask(trainer, batch(retries=True, masked=False), SPANS["with"])
    lost = batch(retries=False)
    lost["tool_mask"][1, 3] = 0
    with pytest.raises(BugError, match="1 tokens of reflections have none"):
        check_mask(trainer, lost, SPANS["without"])
    with pytest.raises(BugError, match="a sequence that was not sampled"):
        check_mask(trainer, batch(retries=True), SPANS["without"])


def test_a_clipped_token_is_no_hole_in_the_mask(trainer: GRPOTrainer) -> None:
    """A ratio beyond the clip range has no gradient where its advantage is above 0; the trial must not see it."""
    inputs = batch(retries=False)
    inputs["old_per_token_logps"] = torch.full_like(inputs["importance_sampling_ratio"], -99.0)
    check = check_mask(trainer, inputs, SPANS["without"])
    assert (check.outside, check.inside > 0) == (0, True)


def logprobs(sampler: list[list[float]], step: int) -> tuple[Any, dict[str, torch.Tensor]]:
    trainer = SimpleNamespace(
        state=SimpleNamespace(global_step=step), accelerator=SimpleNamespace(reduce=lambda tensor: tensor)
    )
    inputs = {
        "completion_mask": torch.tensor([[1, 1], [1, 0]]),
        "old_per_token_logps": torch.tensor([[-1.0, -2.0], [-3.0, -99.0]]),
        "sampling_per_token_logps": torch.tensor(sampler),
    }
    return trainer, inputs


def test_the_logprob_check_counts_reflection_tokens_alone() -> None:
    check = LogprobCheck(0.1)
    assert check.check(*logprobs([[-1.0, -2.3], [-3.0, 0.0]], 0)) == pytest.approx(0.1, abs=1e-5)
    # Gaps of opposite signs add up: 0.2 and -0.07.
    assert check.check(*logprobs([[-1.2, -1.93], [-3.0, 0.0]], 7)) == pytest.approx(0.09, abs=1e-5)
    with pytest.raises(CallFailed, match=r"trainer's weights at step 8: .*first update it was 0\.1"):
        check.check(*logprobs([[-1.0, -2.0], [-4.0, 0.0]], 7))
    with pytest.raises(CallFailed, match="disagree before any update") as caught:
        check.check(*logprobs([[-1.0, -2.0], [float("nan"), 0.0]], 0))
    assert "float32" in (caught.value.cure or "")


def test_the_logprob_check_is_over_the_tokens_of_all_processes() -> None:
    trainer, inputs = logprobs([[-1.0, -2.3], [-3.0, 0.0]], 0)  # a gap of 0.3 over 3 tokens
    other = torch.tensor([0.6, 9.0])  # and of 0.6 over 9 elsewhere
    trainer.accelerator.reduce = lambda tensor: tensor + other
    assert LogprobCheck(1.0).check(trainer, inputs) == pytest.approx(0.9 / 12, abs=1e-5)


def test_the_limit_itself_is_allowed() -> None:
    trainer, inputs = logprobs([[-1.5, -2.5], [-3.5, 0.0]], 3)
    assert LogprobCheck(0.5).check(trainer, inputs) == 0.5
    with pytest.raises(CallFailed, match="trainer's weights at step 4") as caught:
        LogprobCheck(0.499).check(trainer, inputs)
    assert not caught.value.retryable
