"""From the resolved config to TRL's: every setting that decides a result is written out, none is left to a default.

TRL's defaults are not the paper's (arXiv 2505.24726): they have no KL penalty, another loss and another learning rate.
"""

import os
from math import ceil
from pathlib import Path
from typing import Any

from trl import GRPOConfig

from rrr_workers.config import Config
from rrr_workers.engines.vllm_args import checkpoint_dtype, is_cpu_backend
from rrr_workers.errors import UserError
from rrr_workers.training.memory import Dtype
from rrr_workers.training.memory_setup import training_dtype


def compute_dtype(config: Config) -> Dtype:
    """What the trainer computes in, and so the dtype of its engine.

    On a CPU it is float32, whatever the config says: there, vLLM takes weight updates in no other dtype.
    """
    if is_cpu_backend():
        return "float32"
    dtype: str = config.model.dtype
    if dtype == "auto":
        dtype = checkpoint_dtype(config.model.name, config.model.revision)
    return training_dtype(dtype)


#: Mean |log-probability| gap that the two engines' arithmetic explains (train.max_logprob_difference). Measured at the
#: same weights: 3e-7 in float32; in bfloat16 0.043 on average and 0.19 at the 99th percentile of tokens (SmolLM2-135M).
#: In bfloat16 one stale step of a learning rate of 5e-7 changes less than that: engines/sync.py is what sees it.
LOGPROB_LIMITS = {"float32": 2e-3, "bfloat16": 0.2}


def logprob_limit(config: Config) -> float:
    given: float | None = config.train.max_logprob_difference
    return LOGPROB_LIMITS[compute_dtype(config)] if given is None else given


def prompts_per_step(config: Config) -> int:
    """Failures an optimizer step sees, each with ``num_generations`` reflections."""
    return config.train.batch_size // config.train.num_generations


def share_of(config: Config, ranks: int) -> int:
    """Reflections of a batch that each of ``ranks`` processes has. Raises :class:`UserError` where they can't share."""
    share, left = divmod(config.train.batch_size, ranks)
    if left:
        raise UserError(
            f"train.batch_size {config.train.batch_size} can't be shared by {ranks} processes",
            cure="change train.batch_size, or name fewer GPUs in train.devices",
        )
    return share


def grpo_config(config: Config, checkpoints: Path, ranks: int = 1, micro_batch_size: int | None = None) -> GRPOConfig:
    """TRL's config for ``ranks`` processes that share a batch. Raises :class:`UserError` where it can't be shared.

    ``micro_batch_size``: reflections that a process computes at once, where the config doesn't say; default: its share.
    The weights stay in float32 (a learning rate of 5e-7 is lost in bfloat16's 8 bits); lower dtypes are autocast.
    """
    train, sampling = config.train, config.sampling
    dtype = compute_dtype(config)
    share = share_of(config, ranks)
    micro_batch_size = train.micro_batch_size or micro_batch_size or share
    if share % micro_batch_size:
        raise UserError(
            f"train.micro_batch_size {micro_batch_size} does not divide the {share} reflections of each of {ranks} "
            "processes",
            cure="change train.micro_batch_size, or remove it",
        )
    base_dtype = train.lora.base_dtype if train.lora else "float32"
    return GRPOConfig(
        output_dir=str(checkpoints),
        # Devices and arithmetic
        use_cpu=is_cpu_backend(),
        bf16=dtype == "bfloat16",
        fp16=False,
        model_init_kwargs={"dtype": base_dtype, "revision": config.model.revision},
        **_sharding(train.sharding),
        ddp_find_unused_parameters=False,
        disable_dropout=True,
        gradient_checkpointing=train.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        dataloader_pin_memory=not is_cpu_backend(),
        # Seeds and order: failures.training_order lays out the whole run
        seed=config.seed,
        data_seed=config.seed,
        shuffle_dataset=False,
        # Steps
        max_steps=train.steps,
        per_device_train_batch_size=micro_batch_size,
        gradient_accumulation_steps=share // micro_batch_size,
        generation_batch_size=train.batch_size,
        num_generations=train.num_generations,
        num_iterations=1,
        # Optimizer
        optim="adamw_torch_fused",
        adam_beta1=0.9,
        adam_beta2=0.999,
        adam_epsilon=1e-8,
        weight_decay=0.0,
        learning_rate=train.learning_rate,
        lr_scheduler_type=train.lr_scheduler,
        warmup_steps=ceil(train.warmup_ratio * train.steps),
        max_grad_norm=train.max_grad_norm,
        # GRPO
        loss_type=train.loss_type,
        beta=train.beta,
        epsilon=train.epsilon,
        scale_rewards=train.scale_rewards,
        importance_sampling_level="token",
        use_bias_correction_kl=False,  # the KL term as the paper's TRL had it
        mask_truncated_completions=False,
        # Sampling of reflections: rollout.py. TRL itself reads the temperature (its log-probabilities are at it) and
        # the limit (dr_grpo divides by it). The engine is made by trainer.py, so use_vllm is set there.
        use_vllm=False,
        temperature=sampling.temperature,
        top_p=1.0,
        top_k=0,
        max_completion_length=sampling.max_reflection_tokens,
        # The correction is what makes TRL compute the log-probabilities that checks.py compares.
        vllm_importance_sampling_correction=True,
        vllm_importance_sampling_mode="token_truncate",
        vllm_importance_sampling_clip_max=3.0,
        # Logs and checkpoints: events.py and trainer.py
        logging_steps=1,
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        report_to=list(train.report_to),
        run_name=checkpoints.parents[1].name,  # RUN/train/checkpoints
        project="rrr",
        trackio_static_space_id=False,  # nothing is published
        save_strategy="steps",
        save_steps=train.checkpoint_every,
        save_total_limit=None,
    )


def _sharding(kind: str) -> dict[str, Any]:
    """Arguments for FSDP2, by layer. sharding.py sets what transformers has no argument for."""
    if kind == "none":
        return {}
    # transformers reads it while it loads the model, before accelerate sets it: only one process a machine then reads
    # the weights from the disk, and the others hold none of them in host memory.
    os.environ["ACCELERATE_USE_FSDP"] = "true"
    return {
        "fsdp": True,
        "fsdp_config": {
            "version": 2,
            "reshard_after_forward": True,
            "cpu_ram_efficient_loading": True,
            "state_dict_type": "SHARDED_STATE_DICT",  # a full one would be gathered on one process
        },
        # Otherwise each process keeps whole gradients, in float32, until the last micro-batch of a step.
        "accelerator_config": {"gradient_accumulation_kwargs": {"sync_each_batch": True}},
    }
