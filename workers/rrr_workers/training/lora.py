"""Low-rank adapters (peft) in place of all weights: what they bind, and the merged model that a run ends with.

The base stays in float32 unless the config says otherwise: each update merges the adapters into it for the engine and
takes them out again, and in bfloat16 its values don't come back exactly (200 times: rms 1e-4; in float32: 1e-9).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from rrr_workers.config import Config
from rrr_workers.engines.vllm_args import declared_config
from rrr_workers.errors import UserError


@dataclass(frozen=True, slots=True)
class Bound:
    """``modules`` that got an adapter, ``parameters`` that are trained and those that there are in ``all``."""

    modules: int
    parameters: int
    all: int


def lora_config(config: Config) -> LoraConfig | None:
    lora = config.train.lora
    if lora is None:
        return None
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules="all-linear" if lora.targets == ["all-linear"] else lora.targets,
        bias="none",
        task_type="CAUSAL_LM",
    )


def check_targets(config: Config) -> None:
    """Bind the adapters to the model's shape, without its weights. Raises :class:`UserError` where a target is not
    in it: nothing, or less than was meant, would be trained."""
    adapters = lora_config(config)
    if adapters is None:
        return
    shape = declared_config(config.model.name, config.model.revision)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(shape)
    linear = {name.rpartition(".")[2] for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    targets = config.train.lora.targets if config.train.lora else []
    unknown = [] if targets == ["all-linear"] else [name for name in targets if name.rpartition(".")[2] not in linear]
    if unknown:
        raise UserError(
            f"train.lora.targets: {config.model.name} has no linear module {', '.join(unknown)}",
            cure=f"it has {', '.join(sorted(linear))}; lm_head can't get an adapter",
        )
    try:
        get_peft_model(model, adapters)
    except ValueError as error:
        raise UserError(f"train.lora.targets {targets} can't be bound: {error}", cure="name other modules") from error


def count_bound(model: Any) -> Bound:
    modules = sum(isinstance(module, BaseTunerLayer) for module in model.modules())
    trained = sum(each.numel() for each in model.parameters() if each.requires_grad)
    return Bound(modules, trained, sum(each.numel() for each in model.parameters()))


def adapter_dropouts(model: Any) -> list[nn.Dropout]:
    """The dropout of the adapters alone; there is none where the config says 0."""
    return [each for name, each in model.named_modules() if "lora_dropout" in name and isinstance(each, nn.Dropout)]


def read_base(config: Config) -> PreTrainedModel:
    """The model that was trained from, as training read it, on the CPU."""
    assert config.train.lora is not None
    base: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        config.model.name, revision=config.model.revision, dtype=config.train.lora.base_dtype, device_map="cpu"
    )
    return base


def merge(base: PreTrainedModel, adapter: Path) -> PreTrainedModel:
    """``base`` with the adapters in the folder ``adapter`` merged into it, in float32. Changes ``base``."""
    merged: PreTrainedModel = PeftModel.from_pretrained(base.float(), adapter).merge_and_unload()
    return merged


def drift(base: PreTrainedModel, trained: Any) -> float:
    """Root mean square of what updates of the engine have changed in the base's weights, over those that carry an
    adapter: ``trained`` against ``base``."""
    squares, count = 0.0, 0
    for name, weight in trained.get_base_model().named_parameters():
        if ".base_layer." in name:
            original = base.get_parameter(name.replace(".base_layer", ""))
            squares += (weight.detach().cpu().double() - original.double()).square().sum().item()
            count += weight.numel()
    return float((squares / count) ** 0.5)
