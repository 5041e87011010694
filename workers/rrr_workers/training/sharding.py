"""FSDP2 for TRL's trainer: what transformers and TRL have no arguments for (config.py gives those that there are).

Imports neither vLLM nor pydantic: ``scripts/gpu-check.sh --no-engine`` shards without them.
"""

from typing import Any

import torch
from accelerate.utils.fsdp_utils import fsdp2_prepare_model  # type: ignore[import-untyped]
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy
from trl.trainer.utils import add_fused_lm_head, create_model_from_path, disable_dropout_in_model

from rrr_workers.errors import UserError


def shard_precision(dtype: str) -> MixedPrecisionPolicy:
    """FSDP2 that computes in ``dtype``, with log-probabilities and reduced gradients in float32: accelerate's default
    policy rounds both to ``dtype``."""
    return MixedPrecisionPolicy(
        param_dtype=getattr(torch, dtype), reduce_dtype=torch.float32, output_dtype=torch.float32
    )


def shard(trainer: Any, model: str, dtype: str, beta: float) -> None:
    """Have ``trainer``, a ``GRPOTrainer`` made with a beta of 0, shard its model when it trains, and give it the
    reference model that ``beta`` asks for, sharded too: TRL would gather the whole of that at once, not a layer.

    Raises :class:`UserError` where accelerate doesn't shard.
    """
    plugin = getattr(trainer.accelerator.state, "fsdp_plugin", None)
    if plugin is None:
        raise UserError(
            "train.sharding: fsdp2, but accelerate does not shard this model: it only does so on GPUs",
            cure="write sharding: none",
        )
    plugin.mixed_precision_policy = shard_precision(dtype)
    trainer.beta = beta
    if beta:
        reference = create_model_from_path(model, **trainer.args.model_init_kwargs, device_map=None)
        disable_dropout_in_model(reference)
        add_fused_lm_head(reference, temperature=trainer.temperature)
        trainer.ref_model = fsdp2_prepare_model(trainer.accelerator, reference.requires_grad_(False)).eval()


def check_sharded(model: Any) -> None:
    """Raise :class:`UserError` where ``model``, ready to be trained, is whole."""
    if not isinstance(model, FSDPModule):
        raise UserError("train.sharding: fsdp2, but the model was not sharded", cure="write sharding: none")
