"""Which settings make a training run fit into the memory there is, the least change first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from math import ceil, gcd

from rrr_workers.training.memory import GIB, Lora, Parts, Setup, fits, model_bytes, parts
from rrr_workers.training.shapes import Shape

_MOST_GPUS = 64  # advice goes no further
_LABELS = {
    "optimizer": "Adam's moments",
    "reference": "the reference model",
    "casts": "copies of weights to compute with",
    "buckets": "DDP's buckets",
    "engine": "the engine",
    "context": "CUDA and NCCL",
    "logits": "the head's gradient and logits",
}


@dataclass(frozen=True)
class Fit:
    """Whether a setup fits. Where not: what is the matter, and setups near it that do fit, the least change first."""

    fits: bool
    parts: Parts
    message: str
    cures: tuple[Setup, ...] = ()
    cure: str | None = None


def advice(shape: Shape, setup: Setup, room: int) -> Fit:
    """Whether ``setup`` fits in ``room`` bytes a rank, and otherwise which settings would make it fit.

    They are sought in the order of :data:`_CHANGES`, alone and then together with those before; then more GPUs, and
    beside them LoRA on those that are there.
    """
    needed = parts(shape, setup)
    name, size = needed.largest
    message = (
        f"each training process needs {needed.total / GIB:.1f} GiB and has {room / GIB:.1f} GiB; the largest part is "
        f"{_LABELS.get(name, f'the {name}')}, {size / GIB:.1f} GiB"
    )
    if fits(shape, setup, room):
        return Fit(True, needed, message)
    floor, has = setup.engine_floor(shape), setup.engine(shape)
    if needed.total <= room or floor > (setup.card or floor):
        message = (
            f"the engine needs {floor / GIB:.1f} GiB for its weights and one sequence, and has {has / GIB:.1f} GiB"
        )
    found = [_cheapest(shape, setup, room)]
    if found == [None]:
        found = [_more_gpus(shape, setup, room), _cheapest(shape, replace(setup, lora=Lora()), room)]
    cures = tuple(cure for cure in found if cure is not None)
    texts = [", ".join(changes(setup, cure)) for cure in cures]
    return Fit(False, needed, message, cures, f"set {'; or '.join(texts)}" if texts else "train a smaller model")


def changes(before: Setup, after: Setup) -> list[str]:
    """The settings that lead from one setup to another, as the config writes them."""
    settings = {
        "micro_batch_size": f"train.micro_batch_size: {after.micro_batch_size}",
        "gradient_checkpointing": "train.gradient_checkpointing: true",
        "engine_sleep": "train.engine_sleep: true",
        "engine_share": f"train.gpu_memory_utilization: {after.engine_share:.2f}",
        "cpu_kv_cache": f"engine.cpu_kv_cache_gib: {after.cpu_kv_cache / GIB:g}",
        "sharding": "train.sharding: fsdp2",
        "ranks": f"train.devices: {after.ranks} GPUs",
        "lora": "train.lora",
    }
    return [text for name, text in settings.items() if getattr(before, name) != getattr(after, name)]


def _least_engine(shape: Shape, setup: Setup) -> Setup:
    if setup.card is None:
        least = setup.engine_floor(shape) - model_bytes(shape, setup.dtype)
        return replace(setup, cpu_kv_cache=ceil(least / GIB * 8) * GIB // 8)
    return replace(setup, engine_share=min(1.0, ceil(setup.engine_floor(shape) / setup.card * 100) / 100))


_Change = Callable[[Shape, Setup], Setup]
# From what only costs time to what needs another launch. One that has no effect is never advised.
_CHANGES: Sequence[_Change] = (
    lambda _, setup: replace(setup, micro_batch_size=1),
    lambda _, setup: replace(setup, gradient_checkpointing=True),
    lambda _, setup: replace(setup, engine_sleep=True),
    _least_engine,
    lambda _, setup: replace(setup, sharding="fsdp2" if setup.ranks > 1 else setup.sharding),
)


def _cheapest(shape: Shape, setup: Setup, room: int, most: int = len(_CHANGES)) -> Setup | None:
    """The setup with those of the first ``most`` changes that make it fit, each no larger than it must be."""
    chosen = [each for count in range(most + 1) for each in combinations(range(most), count)]
    for some in sorted(chosen, key=lambda each: (each[-1:], len(each), each)):
        changed = setup
        for number in some:
            changed = _CHANGES[number](shape, changed)
        if fits(shape, changed, room):
            return _relaxed(shape, setup, changed, room)
    return None


def _relaxed(shape: Shape, setup: Setup, changed: Setup, room: int) -> Setup:
    """``changed``, with its micro-batch and its engine as large as they may be, up to those of ``setup``."""
    sizes = [size for size in range(1, setup.micro_batch_size + 1) if changed.share % size == 0]
    larger = [replace(changed, micro_batch_size=size) for size in sizes]
    changed = [each for each in larger if fits(shape, each, room)][-1] if changed.micro_batch_size == 1 else changed
    for name, step in (("engine_share", 0.01), ("cpu_kv_cache", GIB // 8)):
        while (size := round(getattr(changed, name) + step, 2)) <= getattr(setup, name):
            more = replace(changed, **{name: size})
            if not fits(shape, more, room):
                break
            changed = more
    return changed


def _more_gpus(shape: Shape, setup: Setup, room: int) -> Setup | None:
    """The fewest GPUs that share the model, if possible without a change to the engine."""
    if setup.card is None:
        return None
    counts = [ranks for ranks in range(setup.ranks + 1, _MOST_GPUS + 1) if setup.batch_size % ranks == 0]
    for most, ranks in product((2, len(_CHANGES)), counts):
        size = gcd(setup.micro_batch_size, setup.batch_size // ranks)
        wider = replace(setup, ranks=ranks, sharding="fsdp2", micro_batch_size=size)
        if cure := _cheapest(shape, wider, room, most):
            return cure
    return None
