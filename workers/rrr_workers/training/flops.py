"""How much a training step computes, by which a plan tells its hours and scripts/gpu_check its utilization."""

from rrr_workers.training.shapes import Shape


def training_flops(shape: Shape, tokens: float, *, lora: bool, reference: bool) -> float:
    """Floating point operations that the model asks for: (6 + 2 * forward passes) * parameters * tokens.

    6: two for the forward pass, two for the gradient of what a layer takes in, two for that of its weights. LoRA has no
    weights' gradient to speak of, so 4. Forward passes without a gradient: the old log-probabilities and the
    reference's. What gradient checkpointing computes again, and attention itself, is not counted.
    """
    return shape.parameters * tokens * ((4 if lora else 6) + 2 * (1 + int(reference)))
