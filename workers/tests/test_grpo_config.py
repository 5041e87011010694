"""What TRL is told, argument by argument: the paper's constants, and the config's values for the rest."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import SCHEMA, resolved_config
from rrr_workers.config import Config, parse_config
from rrr_workers.errors import UserError
from rrr_workers.training.config import grpo_config, logprob_limit
from training_fixtures import training_config

# Every argument that grpo_config gives TRL, for the schema's defaults: those of the paper (arXiv 2505.24726) where it
# tells them. `use_cpu`, `bf16` and `dataloader_pin_memory` are as on a GPU.
PAPER: dict[str, Any] = {
    # The paper's
    "max_steps": 1750,
    "generation_batch_size": 256,
    "beta": 0.001,
    "learning_rate": 5e-7,
    "lr_scheduler_type": "cosine",
    "warmup_steps": 53,  # 0.03 of 1750, rounded up
    # As TRL had them then: without the KL term's correction, with each sampled batch used for one step
    "loss_type": "grpo",
    "epsilon": 0.2,
    "scale_rewards": "group",
    "importance_sampling_level": "token",
    "use_bias_correction_kl": False,
    "mask_truncated_completions": False,
    "num_generations": 8,
    "num_iterations": 1,
    # The optimizer: AdamW without decay
    "optim": "adamw_torch_fused",
    "adam_beta1": 0.9,
    "adam_beta2": 0.999,
    "adam_epsilon": 1e-8,
    "weight_decay": 0.0,
    "max_grad_norm": 1.0,
    # The batch
    "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": 32,
    # Sampling: of the whole distribution
    "use_vllm": False,
    "temperature": 1.0,
    "top_p": 1.0,
    "top_k": 0,
    "max_completion_length": 512,
    "vllm_importance_sampling_correction": True,
    "vllm_importance_sampling_mode": "token_truncate",
    "vllm_importance_sampling_clip_max": 3.0,
    # Seeds and order
    "seed": 0,
    "data_seed": 0,
    "shuffle_dataset": False,
    # Devices and arithmetic
    "use_cpu": False,
    "bf16": True,
    "fp16": False,
    "model_init_kwargs": {"dtype": "float32", "revision": None},
    "ddp_find_unused_parameters": False,
    "disable_dropout": True,
    "gradient_checkpointing": False,
    "gradient_checkpointing_kwargs": {"use_reentrant": False},
    "dataloader_pin_memory": True,
    # Logs and checkpoints
    "output_dir": "/runs/demo/train/checkpoints",
    "logging_steps": 1,
    "logging_nan_inf_filter": False,
    "disable_tqdm": True,
    "report_to": [],
    "run_name": "demo",
    "project": "rrr",
    "trackio_static_space_id": False,
    "save_strategy": "steps",
    "save_steps": 50,
    "save_total_limit": None,
}
ON_A_CPU = {"use_cpu": True, "bf16": False, "dataloader_pin_memory": False}

LORA: dict[str, Any] = {"rank": 8, "alpha": 16, "dropout": 0.0, "targets": ["q_proj"]}
# (changed section of the config, arguments that are others then)
CHANGES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"train": {"steps": 70}}, {"max_steps": 70, "warmup_steps": 3}),
    ({"train": {"learning_rate": 1e-4}}, {"learning_rate": 1e-4}),
    ({"train": {"lr_scheduler": "constant_with_warmup"}}, {"lr_scheduler_type": "constant_with_warmup"}),
    ({"train": {"warmup_ratio": 0.1}}, {"warmup_steps": 175}),
    ({"train": {"warmup_ratio": 0.0}}, {"warmup_steps": 0}),
    ({"train": {"beta": 0.5}}, {"beta": 0.5}),
    ({"train": {"epsilon": 0.3}}, {"epsilon": 0.3}),
    ({"train": {"loss_type": "dr_grpo"}}, {"loss_type": "dr_grpo"}),
    ({"train": {"scale_rewards": "none"}}, {"scale_rewards": "none"}),
    ({"train": {"max_grad_norm": 0.7}}, {"max_grad_norm": 0.7}),
    ({"train": {"gradient_checkpointing": True}}, {"gradient_checkpointing": True}),
    ({"train": {"checkpoint_every": 7}}, {"save_steps": 7}),
    ({"train": {"num_generations": 2}}, {"num_generations": 2}),
    ({"train": {"batch_size": 64}}, {"generation_batch_size": 64, "gradient_accumulation_steps": 8}),
    (
        {"train": {"micro_batch_size": 2}},
        {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 128},
    ),
    (
        {"train": {"micro_batch_size": None}},
        {"per_device_train_batch_size": 256, "gradient_accumulation_steps": 1},
    ),
    ({"train": {"lora": {**LORA, "base_dtype": "float32"}}}, {}),
    (
        {"train": {"lora": {**LORA, "base_dtype": "bfloat16"}}},
        {"model_init_kwargs": {"dtype": "bfloat16", "revision": None}},
    ),
    (
        {"train": {"sharding": "fsdp2"}},
        {
            "fsdp": True,
            "fsdp_config": {
                "version": 2,
                "reshard_after_forward": True,
                "cpu_ram_efficient_loading": True,
                "state_dict_type": "SHARDED_STATE_DICT",
            },
            "accelerator_config": {"gradient_accumulation_kwargs": {"sync_each_batch": True}},
        },
    ),
    ({"train": {"report_to": ["tensorboard", "wandb"]}}, {"report_to": ["tensorboard", "wandb"]}),
    ({"seed": 5}, {"seed": 5, "data_seed": 5}),
    ({"sampling": {"temperature": 0.7}}, {"temperature": 0.7}),
    ({"sampling": {"top_p": 0.9}}, {}),  # for answers alone
    ({"sampling": {"max_reflection_tokens": 99}}, {"max_completion_length": 99}),
    ({"sampling": {"max_answer_tokens": 99}}, {}),
    ({"model": {"dtype": "float32"}}, {"bf16": False}),
    ({"model": {"dtype": "float16"}}, {}),
    ({"model": {"revision": "main"}}, {"model_init_kwargs": {"dtype": "float32", "revision": "main"}}),
]


def paper_config(**sections: Any) -> Config:
    """The schema's defaults, as far as training goes."""
    resolved = resolved_config()
    for name in ("train", "sampling"):
        properties = json.loads(SCHEMA.read_text(encoding="utf-8"))["properties"][name]["properties"]
        resolved[name] = {key: about["default"] for key, about in properties.items() if "default" in about}
    resolved["train"]["micro_batch_size"] = 8
    resolved["model"]["dtype"] = "bfloat16"
    for name, changes in sections.items():
        resolved[name] = {**resolved[name], **changes} if isinstance(changes, dict) else changes
    return parse_config(resolved)


@pytest.fixture
def given_to_trl(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """What grpo_config gives TRL on such a machine."""

    def arguments(config: Config, *, cpu: bool = False, ranks: int = 1) -> dict[str, Any]:
        with monkeypatch.context() as patched:
            patched.setattr("rrr_workers.training.config.is_cpu_backend", lambda: cpu)
            patched.setattr("rrr_workers.training.config.GRPOConfig", dict)
            patched.setattr("os.environ", {})
            return dict(grpo_config(config, Path("/runs/demo/train/checkpoints"), ranks))

    return arguments


def test_trl_is_given_the_paper_s_constants_and_nothing_else(given_to_trl: Callable[..., dict[str, Any]]) -> None:
    assert given_to_trl(paper_config()) == PAPER
    assert given_to_trl(paper_config(), cpu=True) == {**PAPER, **ON_A_CPU}
    assert given_to_trl(paper_config(), ranks=4) == {**PAPER, "gradient_accumulation_steps": 8}


@pytest.mark.parametrize(("sections", "changed"), CHANGES)
def test_every_setting_reaches_trl_and_no_other_argument(
    given_to_trl: Callable[..., dict[str, Any]], sections: dict[str, Any], changed: dict[str, Any]
) -> None:
    assert given_to_trl(paper_config(**sections)) == {**PAPER, **changed}


def test_trl_takes_every_argument_as_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rrr_workers.training.config.is_cpu_backend", lambda: True)
    made = grpo_config(paper_config(), Path("/runs/demo/train/checkpoints"))
    for name, value in {**PAPER, **ON_A_CPU}.items():
        assert getattr(made, name) == value, name
    # Of TRL's other settings that change what is learnt, none is on.
    off = {"epsilon_high": None, "delta": None, "reward_weights": None, "top_entropy_quantile": 1.0, "min_p": None}
    for name, value in {
        **off,
        "sync_ref_model": False,
        "repetition_penalty": 1.0,
        "label_smoothing_factor": 0.0,
    }.items():
        assert getattr(made, name) == value, name


def test_a_batch_that_processes_cannot_share_is_refused(tmp_path: Path) -> None:
    config = parse_config(training_config(tmp_path))  # 8 reflections, 4 at once
    with pytest.raises(UserError, match=r"train\.batch_size 8 can't be shared by 3 processes"):
        grpo_config(config, tmp_path, ranks=3)
    with pytest.raises(UserError, match=r"micro_batch_size 4 does not divide the 2 reflections of each of 4"):
        grpo_config(config, tmp_path, ranks=4)


def test_the_micro_batch_that_fits_is_used_where_the_config_names_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rrr_workers.training.config.GRPOConfig", dict)
    free = paper_config(train={"micro_batch_size": None})
    made = grpo_config(free, Path("/runs/demo/train/checkpoints"), ranks=4, micro_batch_size=16)
    assert (made["per_device_train_batch_size"], made["gradient_accumulation_steps"]) == (16, 4)
    given = grpo_config(paper_config(), Path("/runs/demo/train/checkpoints"), ranks=4, micro_batch_size=16)
    assert given["per_device_train_batch_size"] == 8


@pytest.mark.parametrize(
    ("dtype", "given", "limit"), [("float32", None, 2e-3), ("bfloat16", None, 0.2), ("bfloat16", 0.05, 0.05)]
)
def test_the_limit_of_the_logprob_gap_follows_the_dtype(
    dtype: str, given: float | None, limit: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rrr_workers.training.config.is_cpu_backend", lambda: False)
    config = paper_config(model={"dtype": dtype}, train={"max_logprob_difference": given})
    assert logprob_limit(config) == limit
