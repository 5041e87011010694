"""What is run on the GPUs that there are: models, configs, and what a training run needs of memory and disk."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from rrr_workers.training import memory
from rrr_workers.training.flops import training_flops
from rrr_workers.training.memory import GIB, Lora, Setup, fits, loading_bytes, model_bytes, parts
from rrr_workers.training.shapes import Shape

from .cards import Card
from .models import shape_of
from .outcomes import Skipped

ROOT = Path(__file__).resolve().parents[2]
#: Half of what any model writes passes, told by a hash.
_TASK = {
    "name": f"{ROOT / 'scripts/bench/support/fails_by_hash.py'}:FailsByHash",
    "options": {"failure_rate": 0.5, "clock": "/dev/null"},
    "prompts": {
        "system": None,
        "question": "Make {target} of {numbers}.",
        "reflection": "Why is that wrong?",
        "retry": "Again: {target} of {numbers}.",
    },
}
_CPU_KV_CACHE_GIB = 0.125


@dataclass(frozen=True)
class Scale:
    """How much is sampled and trained: enough to measure on GPUs, or just enough to run on a CPU."""

    max_model_len: int
    reflection: int  # tokens
    answer: int  # tokens
    batch: int  # reflections of a rank
    group: int
    micro_batch: int  # at most
    answers: int  # of the sampling part


ON_GPUS = Scale(max_model_len=640, reflection=256, answer=64, batch=64, group=8, micro_batch=8, answers=1024)
ON_CPU = Scale(max_model_len=256, reflection=16, answer=8, batch=8, group=4, micro_batch=4, answers=64)


@dataclass(frozen=True)
class Run:
    """One way to train."""

    name: str
    model: str
    scale: Scale
    ranks: int
    sharding: Literal["none", "fsdp2"] = "none"
    lora: bool = False
    micro_batch: int = 1

    @property
    def shape(self) -> Shape:
        return shape_of(self.model)

    def setup(self, card: int | None, *, engine: bool, tokens: int | None = None) -> Setup:
        """For memory.py. ``tokens``: of the longest sequence, if it is known."""
        train = self.config("", 1)["train"]
        lora = train["lora"]
        return Setup(
            dtype="float32" if card is None else "bfloat16",
            batch_size=train["batch_size"],
            micro_batch_size=self.micro_batch,
            tokens=tokens or self.scale.max_model_len,
            card=card,
            ranks=self.ranks,
            sharding=self.sharding,
            reference=train["beta"] > 0,
            lora=Lora(lora["rank"], tuple(lora["targets"]), lora["base_dtype"]) if lora else None,
            gradient_checkpointing=train["gradient_checkpointing"],
            engine_share=train["gpu_memory_utilization"] if engine else 0.0,
            cpu_kv_cache=int(_CPU_KV_CACHE_GIB * GIB) if engine else 0,
        )

    def config(self, model: str, steps: int) -> dict[str, Any]:
        """``model``: its folder."""
        train = {
            "steps": steps,
            "batch_size": self.scale.batch * self.ranks,
            "micro_batch_size": self.micro_batch,
            "num_generations": self.scale.group,
            "retries_per_reflection": 2,
            "learning_rate": 1e-4 if self.lora else 1e-5,  # enough to change bfloat16 values at each step
            "lr_scheduler": "constant",
            "warmup_ratio": 0.0,
            "beta": 0.01,
            "gradient_checkpointing": True,
            "checkpoint_every": 1000,
            "keep_checkpoints": 1,
            "sharding": self.sharding,
        }
        return resolved(model, self.scale, train, lora=self.lora)


def resolved(model: str, scale: Scale, train: dict[str, Any], *, lora: bool = False) -> dict[str, Any]:
    """A config as rrr's command line hands it to its workers: with every key."""
    schema = json.loads((ROOT / "workers" / "config.schema.json").read_text())
    config = _filled(schema)
    config["model"] |= {"name": model, "max_model_len": scale.max_model_len}
    config["task"] |= _TASK
    config["data"] |= {"source": "generator", "rows": 1, "test_fraction": 0.5, "train_fraction": 0.5}
    config["sampling"] |= {"max_answer_tokens": scale.answer, "max_reflection_tokens": scale.reflection}
    config["engine"] |= {"cpu_kv_cache_gib": _CPU_KV_CACHE_GIB}
    config["train"] |= train
    if lora:
        config["train"]["lora"] = _filled(schema["properties"]["train"]["properties"]["lora"])
    return config


def _filled(schema: dict[str, Any]) -> dict[str, Any]:
    """The defaults; None for what may be left out."""
    found: dict[str, Any] = {}
    for name, inner in schema.get("properties", {}).items():
        needed = name in schema.get("required", ()) and inner.get("type") == "object"
        found[name] = inner.get("default", _filled(inner) if needed else None)
    return found


def fitted(run: Run, cards: Sequence[Card], free: int, *, engine: bool) -> Run:
    """With the largest micro-batch that fits into ``free`` bytes of a card. Raises :class:`Skipped` where none does."""
    if not cards:
        return replace(run, micro_batch=run.scale.micro_batch)
    card = min(each.memory for each in cards)
    for size in (8, 4, 2, 1):
        sized = replace(run, micro_batch=size)
        setup = sized.setup(card, engine=engine)
        needed = parts(run.shape, setup).total
        if needed <= free and (not engine or fits(run.shape, setup, free)):
            return sized
    if needed > free:
        raise Skipped(f"it needs {needed / GIB:.1f} GiB of a card's memory, and {free / GIB:.1f} are free")
    raise Skipped(f"vLLM's share of a card, {setup.engine_share:.0%} of {card / GIB:.1f} GiB, is too small for it")


def planned_bytes(run: Run, cards: Sequence[Card], longest: int, *, engine: bool) -> int:
    """Memory of a rank's device by the formula, at the length that was met."""
    card = min(each.memory for each in cards) if cards else None
    return parts(run.shape, run.setup(card, engine=engine, tokens=longest)).total


def loading_bytes_of(run: Run, cards: Sequence[Card]) -> int:
    """Memory of the machine that loading takes."""
    return loading_bytes(run.shape, run.setup(min((each.memory for each in cards), default=None), engine=False))


def disk_bytes(run: Run) -> int:
    """Room for a checkpoint, another one while it is written, and the model."""
    setup = run.setup(None, engine=False)
    return memory.disk_bytes(run.shape, replace(setup, dtype="bfloat16"), keep=1)


def model_file_bytes(name: str) -> int:
    return model_bytes(shape_of(name), "bfloat16")


def mfu(run: Run, tokens: float, seconds: float, peak: float | None) -> float | None:
    """Model FLOPs utilization of a rank: what the model asks for, over what the card could have done while the step
    computed (``seconds``: without sampling and the weight update).

    ``tokens``: prompts and reflections of the rank, without padding. None for a card whose peak isn't known.
    """
    if peak is None or seconds <= 0:
        return None
    reference = run.setup(None, engine=False).reference
    return training_flops(run.shape, tokens, lora=run.lora, reference=reference) / (seconds * peak)


def models_asked(option: str, *, on_cpu: bool) -> list[str]:
    """The smallest first."""
    if on_cpu:
        return ["tiny"]
    return ["1.5b", "7b"] if option == "both" else [option]
