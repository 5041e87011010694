"""How a model is best trained and sampled on given GPUs: what ``rrr init`` writes, with the reason of each choice.

All weights rather than adapters, an engine that stays awake rather than one that sleeps, whole models rather than
shards, and no recomputation rather than some: the first setup in that order that fits with a micro-batch of 4, or else
the first that fits at all. Memory is training's own formula.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, Literal

from rrr_workers.config import Config
from rrr_workers.planning.assumptions import Hints, assume
from rrr_workers.planning.cards import GIB, Hardware
from rrr_workers.planning.hours import step_seconds
from rrr_workers.planning.models import Model
from rrr_workers.planning.resources import least_tensor_parallel
from rrr_workers.planning.work import step_limits, step_loads
from rrr_workers.training.memory import Dtype, Lora, Setup, engine_bytes, largest_micro_batch, parts

_MOST_MICRO_BATCH = 16  # more gains no speed
_GOOD_MICRO_BATCH = 4
_DEFAULT_SHARE = 0.3
_SAMPLER_SHARE = 0.9
_SEQUENCES = 16  # of the full length: the KV cache that an engine should have
_LORA_RANK = 32


@dataclass(frozen=True)
class Choice:
    setup: Setup
    tensor_parallel: int
    reasons: dict[str, str]  # by key of the config


@dataclass(frozen=True)
class Impossible:
    least: int  # bytes of a GPU that the smallest way would need
    reason: str


def choose(model: Model, hardware: Hardware, *, tokens: int, batch_size: int) -> Choice | Impossible:
    """``tokens``: model.max_model_len. The batch is shared by all GPUs."""
    base = Setup(
        dtype=model.dtype,
        batch_size=batch_size,
        micro_batch_size=1,
        tokens=tokens,
        card=hardware.card,
        ranks=hardware.total,
        engine_share=_DEFAULT_SHARE,
    )
    split = least_tensor_parallel(model, _SEQUENCES * tokens, int(_SAMPLER_SHARE * hardware.card), hardware)
    split = split or least_tensor_parallel(model, tokens, int(_SAMPLER_SHARE * hardware.card), hardware)
    setup = _first_fitting(model, hardware, base)
    if setup is None or split is None:
        return _why_not(model, hardware, base)
    return Choice(setup, split, _reasons(model, hardware, setup, split))


def _loras(model: Model) -> tuple[Lora | None, ...]:
    bases: tuple[Dtype, ...] = ("float32", "bfloat16")
    return None, *(Lora(_LORA_RANK, tuple(model.shape.linears), base) for base in bases)


def _first_fitting(model: Model, hardware: Hardware, base: Setup) -> Setup | None:
    for lora in _loras(model):
        for least in (_GOOD_MICRO_BATCH, 1):
            for setup in _setups(model, hardware, replace(base, lora=lora)):
                size = largest_micro_batch(model.shape, setup, hardware.room, _MOST_MICRO_BATCH)
                if size and size >= min(least, setup.share):
                    return replace(setup, micro_batch_size=size)
    return None


def _setups(model: Model, hardware: Hardware, base: Setup) -> Iterator[Setup]:
    kinds: list[Literal["none", "fsdp2"]] = ["none"]
    if base.ranks > 1 and base.lora is None:
        kinds.append("fsdp2")
    for sleep in (False, True):
        for sharding in kinds:
            for checkpointing in (False, True):
                for share in _shares(model, hardware, base.tokens):
                    yield replace(
                        base,
                        engine_sleep=sleep,
                        sharding=sharding,
                        gradient_checkpointing=checkpointing,
                        engine_share=share,
                    )


def _shares(model: Model, hardware: Hardware, tokens: int) -> list[float]:
    """Shares of a GPU for the engine beside the trainer, the roomiest first."""
    needed = [engine_bytes(model.shape, model.dtype, count * tokens) for count in (_SEQUENCES, 1)]
    wanted, least = (ceil(100 * size / hardware.card) / 100 for size in needed)
    return [each for each in dict.fromkeys((max(_DEFAULT_SHARE, wanted), wanted, least)) if each <= 1]


def _why_not(model: Model, hardware: Hardware, base: Setup) -> Impossible:
    smallest = {}
    for lora in _loras(model):
        setups = [each for each in _setups(model, hardware, replace(base, lora=lora)) if each.gradient_checkpointing]
        if setups:
            smallest[lora] = min(parts(model.shape, each).total for each in setups)
    if not smallest:
        needed = engine_bytes(model.shape, model.dtype, base.tokens)
        return Impossible(needed, f"the engine alone needs {needed / GIB:.0f} GiB of a GPU beside the trainer")
    names = {None: "all weights", "float32": "LoRA", "bfloat16": "LoRA on bfloat16 weights"}
    told = [f"{names[lora.base if lora else None]} {size / GIB:.0f}" for lora, size in smallest.items()]
    reason = f"GiB a GPU, at the least: {', '.join(told)}; there are {hardware.room / GIB:.0f}"
    return Impossible(min(smallest.values()), reason)


def _reasons(model: Model, hardware: Hardware, setup: Setup, split: int) -> dict[str, str]:
    shape = model.shape
    needed = parts(shape, setup).total / GIB
    whole = replace(setup, sharding="none", lora=None, gradient_checkpointing=True, micro_batch_size=1)
    without = parts(shape, whole).total / GIB
    sharded = replace(whole, sharding="fsdp2")
    room = f"{hardware.room / GIB:.0f}"
    reasons = {"micro_batch_size": f"{needed:.0f} of {room} GiB a GPU at the fullest moment, by rrr's own formula"}
    if setup.sharding == "fsdp2":
        reasons["sharding"] = f"a whole copy a GPU would need {without:.0f} GiB of {room}, or leave too small a batch"
    elif setup.lora:
        shards = f", split over {setup.ranks} {parts(shape, sharded).total / GIB:.0f}" if setup.ranks > 1 else ""
        reasons["lora"] = (
            f"all weights would need {without:.0f} GiB of {room}{shards}: adapters are not the paper's way"
        )
        if setup.lora.base == "bfloat16":
            reasons["lora"] += ", and in bfloat16 the frozen weights drift a little"
    if setup.gradient_checkpointing:
        plain = replace(setup, gradient_checkpointing=False, micro_batch_size=1)
        reasons["gradient_checkpointing"] = (
            f"without it even a micro-batch of 1 needs {parts(shape, plain).total / GIB:.0f} GiB, and larger ones more"
        )
    reasons["gpu_memory_utilization"] = (
        f"the engine's weights and workspace take {engine_bytes(shape, model.dtype, 0) / GIB:.1f} of its "
        f"{setup.engine(shape) / GIB:.1f} GiB, the cache of what it writes the rest"
    )
    if setup.engine_sleep:
        reasons["engine_sleep"] = "engine and trainer do not fit at once"
    share, weights = _SAMPLER_SHARE * hardware.card / GIB, engine_bytes(shape, model.dtype, 0, split) / GIB
    reasons["tensor_parallel"] = (
        f"{'one GPU holds' if split == 1 else f'{split} GPUs hold'} a sampling engine: weights and workspace take "
        f"{weights:.1f} of the {share:.1f} GiB that it has of each"
    )
    return reasons


def choices(config: Config, models: Sequence[Model], hardware: Sequence[Hardware]) -> list[dict[str, Any]]:
    """``choicesResult`` of src/protocol/planning.ts: every model on each of ``hardware``, with the context, the batch
    and the tokens of ``config``."""
    return [_described(config, model, each) for model in models for each in hardware]


def _described(config: Config, model: Model, hardware: Hardware) -> dict[str, Any]:
    made = choose(model, hardware, tokens=config.model.max_model_len, batch_size=config.train.batch_size)
    asked = {"model": model.name, "parameters": model.shape.parameters, "source": model.source}
    asked |= {"gpus": hardware.gpus, "nodes": hardware.nodes, "card": hardware.card}
    asked |= {"gpu": hardware.gpu.name if hardware.gpu else None}
    if isinstance(made, Impossible):
        return {**asked, "possible": False, "least": made.least, "reason": made.reason}
    setup = made.setup
    assumed, _ = assume(config, Hints(train=1, test=1), {})
    step = None
    if hardware.gpu:
        step = step_seconds(
            model.shape, setup, hardware, hardware.gpu, step_loads(config, assumed), assumed, step_limits(config)
        ).total
    lora = setup.lora and {"rank": setup.lora.rank, "targets": setup.lora.targets, "base_dtype": setup.lora.base}
    return {
        **asked,
        "possible": True,
        "dtype": model.dtype,
        "sharding": setup.sharding,
        "lora": lora,
        "gradient_checkpointing": setup.gradient_checkpointing,
        "gpu_memory_utilization": setup.engine_share,
        "engine_sleep": setup.engine_sleep,
        "micro_batch_size": setup.micro_batch_size,
        "tensor_parallel": made.tensor_parallel,
        "needed": parts(model.shape, setup).total,
        "room": hardware.room,
        "step_s": step,
        "reasons": made.reasons,
    }
