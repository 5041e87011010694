"""What a training run needs of each device's memory and of the disk, told before anything is loaded. All in bytes.

The trainer keeps float32 weights and computes under autocast (config.py). What is estimated says so; the rest is read
in the pinned sources, or measured with transformers and TRL on tensors without data (tests/test_memory.py).
"""

from dataclasses import dataclass, fields, replace
from math import ceil
from typing import Literal

from rrr_workers.training.shapes import Shape

GIB = 2**30
Dtype = Literal["float32", "bfloat16"]
WIDTHS: dict[Dtype, int] = {"float32": 4, "bfloat16": 2}  # bytes of a number

_CONTEXT = 2 * GIB  # CUDA's context, NCCL's buffers, what the allocator can't use: an estimate
_WORKSPACE = GIB  # vLLM's own activations and logits, inside its share: an estimate
_TILE_TOKENS, _TILE_VOCABULARY = 4096, 32768  # of TRL's fused head: trl/kernels/chunked_logprob.py, trainer/utils.py
_CPU_TILES = 9  # float32 tiles at once where that head has no Triton kernel: measured


@dataclass(frozen=True)
class Lora:
    """Adapters that are trained in float32 beside frozen weights; ``targets``: names of linear modules, None: all."""

    rank: int = 16
    targets: tuple[str, ...] | None = None
    base: Dtype = "float32"


@dataclass(frozen=True)
class Setup:
    """A training run, as far as memory depends on it."""

    dtype: Dtype  # what the trainer computes and the engine samples in
    batch_size: int  # sequences of an optimizer step, over all ranks
    micro_batch_size: int  # sequences that a rank computes at once; divides its share of the batch
    tokens: int  # of the longest sequence: prompt and completion, with padding
    card: int | None  # memory of a GPU, of which the engine takes a share; None: a CPU
    ranks: int = 1
    sharding: Literal["none", "fsdp2"] = "none"  # fsdp2: policy and reference, each layer by itself
    reference: bool = True  # there is a KL penalty. LoRA needs no second model for it: its adapters can be turned off
    lora: Lora | None = None
    gradient_checkpointing: bool = False
    engine_share: float = 0.3  # of the card; 0: the engine runs elsewhere
    engine_sleep: bool = False  # the engine gives its share back while the trainer computes; not on a CPU
    cpu_kv_cache: int = GIB

    @property
    def share(self) -> int:
        """Sequences of the batch that a rank computes."""
        return self.batch_size // self.ranks

    def trained(self, shape: Shape) -> int:
        """Parameters that are trained."""
        return shape.adapters(self.lora.rank, self.lora.targets) if self.lora else shape.parameters

    def engine(self, shape: Shape) -> int:
        """Bytes of the engine that shares the rank's device: a share of the card, or its weights and KV cache."""
        if self.card is None:
            return WIDTHS[self.dtype] * shape.parameters + self.cpu_kv_cache
        return int(self.engine_share * self.card)

    def engine_floor(self, shape: Shape) -> int:
        """The least that the engine starts with: its weights, one sequence's KV cache and, on a GPU, workspace."""
        if self.card is None:
            return WIDTHS[self.dtype] * shape.parameters + cache_bytes(shape, self.dtype, self.tokens)
        return engine_bytes(shape, self.dtype, self.tokens) if self.engine_share > 0 else 0


def cache_bytes(shape: Shape, dtype: Dtype, tokens: int) -> int:
    """The KV cache of ``tokens``, on all GPUs of an engine."""
    return 2 * WIDTHS[dtype] * shape.layers * shape.keys * tokens


def engine_bytes(shape: Shape, dtype: Dtype, tokens: int, gpus: int = 1) -> int:
    """What an engine on ``gpus`` GPUs needs of each of them to hold its weights and ``tokens`` of KV cache."""
    shared = WIDTHS[dtype] * shape.parameters + cache_bytes(shape, dtype, tokens)
    return ceil(shared / gpus) + _WORKSPACE


@dataclass(frozen=True)
class Parts:
    """Bytes of one rank at one moment, by what they hold (see :func:`moments`)."""

    weights: int = 0
    gradients: int = 0
    optimizer: int = 0
    reference: int = 0
    casts: int = 0
    buckets: int = 0
    engine: int = 0
    context: int = 0
    activations: int = 0
    logits: int = 0

    @property
    def total(self) -> int:
        return sum(getattr(self, field.name) for field in fields(self))

    @property
    def largest(self) -> tuple[str, int]:
        """Name and bytes of the largest part."""
        sizes: dict[str, int] = {field.name: getattr(self, field.name) for field in fields(self)}
        return max(sizes.items(), key=lambda item: item[1])


def moments(shape: Shape, setup: Setup) -> dict[str, Parts]:
    """The parts at each moment of a step that can be its fullest, once gradients have been accumulated.

    - ``weights``, ``gradients``: 4 B a trained parameter, and the frozen weights. FSDP2 shards gradients only where
      every micro-batch is reduced (accelerate's ``sync_each_batch``); else each rank holds 4 B of every parameter.
    - ``optimizer``: Adam's two float32 moments. ``reference``: 4 B a parameter.
    - ``buckets``: DDP's copy of the gradients, as accelerate leaves ``gradient_as_bucket_view`` off.
    - ``casts``: weights in bfloat16. Autocast keeps those of trained layers until the forward pass ends; a frozen
      layer's, and without checkpointing every layer's, live as long as its activations. FSDP2: two gathered layers,
      one layer's gradient and the float32 copy that is reduced, and the head (a bound: read, and compared once with
      torch's fake process group).
    - ``engine``, ``context``: see :class:`Setup` and the constants above.
    - ``activations``: with checkpointing each layer's input (float32, FSDP2's in the compute dtype) and all of one
      layer; else all of every layer. A layer's backward pass adds two tensors of the MLP's width and a gradient.
    - ``logits``: the head works in tiles. Its gradient is float32; a tied one waits for the embedding's.
    """
    width, tokens = WIDTHS[setup.dtype], setup.micro_batch_size * setup.tokens
    sharded, checkpointed, full = setup.sharding == "fsdp2", setup.gradient_checkpointing, setup.lora is None
    shards = setup.ranks if sharded else 1
    trained = setup.trained(shape)
    frozen = shape.parameters * WIDTHS[setup.lora.base] if setup.lora else 0
    sampling = Parts(
        weights=ceil((4 * trained + frozen) / shards),
        optimizer=ceil(8 * trained / shards),
        reference=ceil(4 * shape.parameters / shards) if setup.reference and full else 0,
        casts=4 * shape.embedding if sharded else 0,  # the largest tensor, gathered for the engine
        buckets=4 * trained if setup.ranks > 1 and not sharded else 0,
        engine=setup.engine(shape),
        context=0 if setup.card is None else _CONTEXT,
    )
    asleep = setup.engine_sleep and setup.card is not None
    step = replace(sampling, gradients=ceil(4 * trained / shards), engine=0 if asleep else sampling.engine)

    casts = _casts(shape, setup)
    stream = 4 * shape.hidden * tokens  # what passes from layer to layer, and its gradient
    layer = shape.activations(width, setup.tokens) * tokens
    stored = shape.layers * (stream * (width if sharded else 4) // 4 if checkpointed else layer)
    backward = stored + (layer if checkpointed else 0) + 2 * width * shape.intermediate * tokens + stream
    ends = _tiles(shape, setup) + 3 * stream  # with the last norm's and the head's inputs
    gradient = 4 * shape.embedding if full else 0
    waiting = gradient * (width if sharded else 4) // 4 if shape.tied else 0
    return {
        "sampling": sampling,
        "forward": replace(step, casts=casts["forward"], activations=stored, logits=ends),
        "head": replace(step, casts=casts["head"], activations=stored + stream, logits=ends + gradient),
        "layer": replace(step, casts=casts["layer"], activations=backward, logits=waiting),
        "embedding": replace(
            step, casts=casts["embedding"], activations=stream, logits=gradient + (0 if sharded else waiting)
        ),
    }


def _casts(shape: Shape, setup: Setup) -> dict[str, int]:
    """Bytes of what weights are computed with, beside the float32 ones, by moment of the step."""
    width, full = WIDTHS[setup.dtype], setup.lora is None
    one, head = width * shape.layer, width * shape.embedding
    if setup.sharding == "fsdp2":
        own = shape.layer if full else setup.trained(shape) // shape.layers
        gradient, shard = (head, 4 * shape.embedding // setup.ranks) if full else (0, 0)
        return {
            "forward": 2 * one + head,
            "head": one + head + gradient,
            "layer": 2 * one + (width + 4) * own + (head if shape.tied else 0),
            "embedding": one + head + gradient + shard,
        }
    if width == 4 or (setup.lora and setup.lora.base == setup.dtype):
        return dict.fromkeys(("forward", "head", "layer", "embedding"), 0)
    every = shape.layers * one
    if not setup.gradient_checkpointing:
        return {"forward": every, "head": every, "layer": every, "embedding": 0}
    return {"forward": every if full else one, "head": 0, "layer": one, "embedding": 0}


def _tiles(shape: Shape, setup: Setup) -> int:
    rows = min(setup.micro_batch_size * setup.tokens, _TILE_TOKENS)
    if setup.card is None:
        return _CPU_TILES * 4 * rows * min(_TILE_VOCABULARY, shape.vocabulary)
    width = WIDTHS[setup.dtype]
    copied = min(2 * _TILE_VOCABULARY, shape.vocabulary) + rows  # rows of the weight and of the input
    copies = width * copied * shape.hidden if width < 4 else 0
    return width * rows * _TILE_VOCABULARY + copies


def parts(shape: Shape, setup: Setup) -> Parts:
    """What a rank needs at the fullest moment of a step."""
    return max(moments(shape, setup).values(), key=lambda moment: moment.total)


def checkpoint_bytes(shape: Shape, setup: Setup) -> int:
    """A checkpoint on the disk, of all ranks: what is trained, and Adam's moments, in float32.

    For FSDP2 in SHARDED_STATE_DICT; with FULL_STATE_DICT transformers writes the weights twice.
    """
    return 12 * setup.trained(shape)


def model_bytes(shape: Shape, dtype: Dtype) -> int:
    """The final model on the disk."""
    return WIDTHS[dtype] * shape.parameters


def disk_bytes(shape: Shape, setup: Setup, keep: int) -> int:
    """What a run writes: ``keep`` checkpoints, one more while it is written, and the final model."""
    return (keep + 1) * checkpoint_bytes(shape, setup) + model_bytes(shape, setup.dtype)


def loading_bytes(shape: Shape, setup: Setup) -> int:
    """Memory of the host while the ranks load, if all are on one, beyond what they keep there.

    A single GPU is loaded directly. Several ranks each read policy and reference into the host's memory first, or,
    under FSDP2 with accelerate's ``cpu_ram_efficient_loading``, one of them.
    """
    if setup.card is None or setup.ranks == 1:
        return 0
    models = 2 if setup.reference and setup.lora is None else 1
    return 4 * shape.parameters * models * (1 if setup.sharding == "fsdp2" else setup.ranks)


def fits(shape: Shape, setup: Setup, room: int) -> bool:
    """Whether ``room`` bytes are enough for a rank: the memory of its GPU, or its part of the host's."""
    return parts(shape, setup).total <= room and setup.engine_floor(shape) <= setup.engine(shape)


def largest_micro_batch(shape: Shape, setup: Setup, room: int, most: int | None = None) -> int | None:
    """The largest divisor of a rank's share of the batch, up to ``most``, that fits in ``room``; None where not even 1
    does."""
    sizes = (size for size in range(min(setup.share, most or setup.share), 0, -1) if setup.share % size == 0)
    return next((size for size in sizes if fits(shape, replace(setup, micro_batch_size=size), room)), None)
