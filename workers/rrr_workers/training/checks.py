"""What a run proves about itself: only reflections learn, and sampler and trainer compute the same probabilities.

That the sampler has the trainer's weights is proved in engines/sync.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from accelerate.utils import is_peft_model  # type: ignore[import-untyped]
from torch import Tensor

from rrr_workers.errors import BugError, CallFailed

# A token that is as good as certain has no gradient to speak of (the softmax is saturated), wherever it stands.
_CERTAIN = -1e-4


@dataclass(frozen=True, slots=True)
class MaskCheck:
    """Largest |gradient| that reaches the logits of a token, over all processes: of the reflections, and of everything
    else."""

    inside: float
    outside: float


def check_mask(trainer: Any, inputs: Mapping[str, Any], span_of: Mapping[tuple[int, ...], range]) -> MaskCheck:
    """Prove on a batch as the trainer built it that the loss moves the reflections' tokens and nothing else.

    ``span_of`` says where the reflection stands in each sequence, from the sampler and not from the trainer's own mask.
    Raises :class:`BugError` where a token outside has a gradient, or one inside has none.
    """
    reflection = reflection_positions(inputs, span_of)
    gradients = token_gradients(trainer, inputs)
    result = MaskCheck(gradients[reflection].max().item(), gradients[~reflection].max().item())
    idle = reflection[:, 1:] & (gradients[:, 1:] == 0) & (_logprobs(trainer, inputs) < _CERTAIN)
    if result.outside != 0 or not result.inside > 0 or idle.any():
        raise BugError(
            f"the loss mask is wrong: outside of the reflections the largest gradient is {result.outside:.3g} (must be "
            f"0), inside {result.inside:.3g}, and {int(idle.sum())} tokens of reflections have none",
            cure="check that the pinned version of trl is installed: rrr setup",
        )
    largest = trainer.accelerator.gather(gradients.new_tensor([[result.inside, result.outside]])).amax(0).tolist()
    return MaskCheck(*largest)


def reflection_positions(inputs: Mapping[str, Any], span_of: Mapping[tuple[int, ...], range]) -> Tensor:
    """Which tokens of the padded batch are a reflection's: bool (B, T), T = prompt and completion."""
    ids, attended = _sequences(inputs)
    positions = torch.zeros_like(attended, dtype=torch.bool)
    for row, (tokens, kept) in enumerate(zip(ids, attended.bool(), strict=True)):
        span = span_of.get(tuple(tokens[kept].tolist()))
        if span is None:
            raise BugError("the trainer's batch holds a sequence that was not sampled")
        columns = kept.nonzero().squeeze(-1)[span.start : span.stop]
        positions[row, columns] = True
    return positions


def token_gradients(trainer: Any, inputs: Mapping[str, Any]) -> Tensor:
    """|gradient| of the loss at the hidden state whose logits predict each token: (B, T), largest over the features.

    Advantages and ratios are set to one (without older log-probabilities, the policy's ratio is to itself), so that
    the mask alone decides: a clipped token would have no gradient. The hidden state before the language
    model's head is where every path from the loss to a token's logits passes; the first token is predicted by none,
    and its column takes the gradient of the last state, which predicts what comes after the sequence.
    """
    model = trainer.accelerator.unwrap_model(trainer.model)
    transformer = (model.get_base_model() if is_peft_model(model) else model).base_model
    states: list[Tensor] = []
    handle = transformer.register_forward_hook(lambda _module, _args, out: states.append(out.last_hidden_state))
    even: dict[str, Any] = {"old_per_token_logps": None}
    even |= {key: torch.ones_like(inputs[key]) for key in ("advantages", "importance_sampling_ratio") if key in inputs}
    metrics = {mode: {key: list(values) for key, values in kept.items()} for mode, kept in trainer._metrics.items()}
    try:
        with trainer.compute_loss_context_manager():
            loss = trainer.compute_loss(model, {**inputs, **even})
    finally:
        handle.remove()
        for mode, kept in metrics.items():  # a trial is no step: it leaves no trace in the logs
            trainer._metrics[mode].clear()
            trainer._metrics[mode].update(kept)
    (gradient,) = torch.autograd.grad(loss, states[0])
    return gradient.abs().amax(-1).float().roll(1, dims=1)


def _logprobs(trainer: Any, inputs: Mapping[str, Any]) -> Tensor:
    """Log-probability of each token but the first, (B, T-1); 0 outside of the completion."""
    ids, attended = _sequences(inputs)
    kept = inputs["completion_ids"].size(1)
    with torch.no_grad(), trainer.compute_loss_context_manager():
        model = trainer.accelerator.unwrap_model(trainer.model)
        logprobs: Tensor = trainer._get_per_token_logps_and_entropies(model, ids, attended, kept)[0]
    return torch.nn.functional.pad(logprobs, (ids.size(1) - 1 - kept, 0))


def _sequences(inputs: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
    return ids, torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1)


class LogprobCheck:
    """Compares sampler and trainer on every batch of reflections, at what must be the same weights."""

    def __init__(self, limit: float):
        self._limit = limit
        self._at_start: float | None = None

    def check(self, trainer: Any, inputs: Mapping[str, Any]) -> float:
        """Mean |log-probability difference| over the reflections' tokens of all processes.

        Raises :class:`CallFailed`, not to be retried, above the limit (or for a difference that is no number).
        """
        inside = inputs["completion_mask"].bool()
        gap = (inputs["old_per_token_logps"] - inputs["sampling_per_token_logps"])[inside].abs()
        total, tokens = trainer.accelerator.reduce(torch.stack([gap.sum().float(), inside.sum().float()])).tolist()
        difference: float = total / tokens
        step = trainer.state.global_step
        if not difference <= self._limit:
            raise self._error(difference, step)
        if step == 0:
            self._at_start = difference
        return difference

    def _error(self, difference: float, step: int) -> CallFailed:
        measured = (
            f"the mean difference of their log-probabilities is {difference:.3g}, "
            f"above train.max_logprob_difference ({self._limit:g})"
        )
        if step == 0:
            return CallFailed(
                f"sampler and trainer disagree before any update, at the same weights: {measured}",
                cure="their arithmetic differs: set model.dtype: float32, or raise train.max_logprob_difference",
            )
        before = "" if self._at_start is None else f"; before the first update it was {self._at_start:.3g}"
        return CallFailed(
            f"the sampler does not have the trainer's weights at step {step + 1}: {measured}{before}",
            cure="weight updates don't reach vLLM: check that the pinned versions are installed (rrr setup), "
            "then go on from the last checkpoint with --resume",
        )
