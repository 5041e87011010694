"""What a finished run leaves: ``model``, as it was sampled, and with LoRA ``adapter`` beside it."""

from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rrr_workers.config import Config
from rrr_workers.training import lora
from rrr_workers.training.checkpoints import write_folder
from rrr_workers.training.config import compute_dtype


def save_model(config: Config, trainer: Any, tokenizer: PreTrainedTokenizerBase, output: Path) -> float | None:
    """Write the trained model in the dtype that it was sampled in: that is the policy which earned the rewards.

    Every rank must call it: a sharded model is gathered on rank 0, which writes. Returns, there and with LoRA alone,
    how far the base's weights have drifted (:func:`lora.drift`).
    """
    drift = None
    dtype = getattr(torch, compute_dtype(config))
    if config.train.lora is None:
        weights = trainer.accelerator.get_state_dict(trainer.model)
        if trainer.args.should_save:
            model = trainer.accelerator.unwrap_model(trainer.model)
            shell = _shell(model, dtype)
            cast = {name: each.to(dtype) for name, each in weights.items()}
            tied = {name: cast[source] for name, source in shell.all_tied_weights_keys.items()}
            _write(shell, tokenizer, output / "model", cast | tied)
    elif trainer.args.should_save:
        adapted = trainer.accelerator.unwrap_model(trainer.model)
        made = adapted.peft_config["default"]  # with the folder that the base was read from
        made.base_model_name_or_path, made.revision = config.model.name, config.model.revision
        write_folder(output / "adapter", adapted.save_pretrained)
        base = lora.read_base(config)
        drift = lora.drift(base, adapted)
        _write(lora.merge(base, output / "adapter").to(dtype), tokenizer, output / "model")
    trainer.accelerator.wait_for_everyone()
    return drift


def _write(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    target: Path,
    weights: dict[str, torch.Tensor] | None = None,
) -> None:
    def write(folder: Path) -> None:
        model.save_pretrained(folder, state_dict=weights)
        tokenizer.save_pretrained(folder)

    write_folder(target, write)


def _shell(model: PreTrainedModel, dtype: torch.dtype) -> PreTrainedModel:
    """``model`` without weights, in ``dtype``: the live one is neither cast nor gathered to be saved."""
    with torch.device("meta"):
        shell: PreTrainedModel = type(model)(model.config).to(dtype)
    shell.generation_config = model.generation_config
    return shell
