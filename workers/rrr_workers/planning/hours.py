"""Seconds, by a roofline: what is done takes as long as the slowest of computing, reading memory, and moving data.

write   a step of the engine writes one token for each of B sequences:
        max((weights + B * cache of a sequence) / (bandwidth * bandwidth_share),
            2 * parameters * B / (peak * prefill_mfu), engine_ms)
read    2 * parameters * prompt tokens that are not cached / (peak * prefill_mfu)
train   FLOPs of the step / (peak * mfu), or the parts of a sharded model that go over the links, whichever is longer
"""

from dataclasses import dataclass
from math import ceil

from rrr_workers.planning.assumptions import Assumptions
from rrr_workers.planning.cards import Gpu, Hardware
from rrr_workers.planning.work import Load
from rrr_workers.training.flops import training_flops
from rrr_workers.training.memory import WIDTHS, Dtype, Setup, cache_bytes, engine_bytes
from rrr_workers.training.shapes import Shape

_COLOCATED_AT_ONCE = 1024  # training/engine.py


@dataclass(frozen=True)
class Engine:
    """``count`` engines that share a load, each on ``gpus`` GPUs of which it has ``share`` bytes."""

    dtype: Dtype
    count: int
    gpus: int
    share: int
    at_once: int  # sequences, at most

    def batch(self, shape: Shape, load: Load) -> float:
        """Sequences that an engine writes at once: as many as its cache holds and as there are."""
        room = (self.share - engine_bytes(shape, self.dtype, 0, self.gpus)) * self.gpus
        cached = room / (cache_bytes(shape, self.dtype, 1) * _context(load))
        return max(1.0, min(cached, self.at_once, load.completions / self.count))


def _context(load: Load) -> float:
    """Tokens of a sequence while it is written, on average."""
    return (load.prompt_tokens + load.completion_tokens / 2) / load.completions


def sampling_seconds(
    shape: Shape, engine: Engine, load: Load, gpu: Gpu, assumed: Assumptions, limit: int | None = None
) -> float:
    """``limit``: of a completion's tokens; where it is given, nothing goes on before the longest has been written."""
    if not load.completions:
        return 0.0
    batch = engine.batch(shape, load)
    held = WIDTHS[engine.dtype] * shape.parameters + batch * cache_bytes(shape, engine.dtype, 1) * _context(load)
    peak = gpu.flops * assumed.prefill_mfu * engine.gpus
    token = max(held / (gpu.bandwidth * assumed.bandwidth_share * engine.gpus), 2 * shape.parameters * batch / peak)
    written = load.completion_tokens / engine.count / batch
    if limit is not None:
        written = max(written, min(limit, assumed.longest * load.completion_tokens / load.completions))
    token = max(token, assumed.engine_ms / 1000)
    return written * token + 2 * shape.parameters * (load.prompt_tokens - load.cached) / engine.count / peak


@dataclass(frozen=True)
class Step:
    """Seconds of an optimizer step."""

    reflect: float
    retry: float
    train: float
    update: float

    @property
    def total(self) -> float:
        return self.reflect + self.retry + self.train + self.update


def step_seconds(
    shape: Shape,
    setup: Setup,
    hardware: Hardware,
    gpu: Gpu,
    loads: tuple[Load, Load],
    assumed: Assumptions,
    limits: tuple[int, int],
) -> Step:
    """``loads``: reflections and retries of all ranks; ``limits``: of their tokens."""
    reflections, retries = loads
    engine = Engine(setup.dtype, setup.ranks, 1, setup.engine(shape), _COLOCATED_AT_ONCE)
    tokens = (reflections.prompt_tokens + reflections.completion_tokens) / setup.ranks
    flops = training_flops(shape, tokens, lora=setup.lora is not None, reference=setup.reference)
    return Step(
        reflect=sampling_seconds(shape, engine, reflections, gpu, assumed, limits[0]),
        retry=sampling_seconds(shape, engine, retries, gpu, assumed, limits[1]),
        train=max(flops / (gpu.flops * assumed.mfu), _moved(shape, setup) / _link(setup, hardware, gpu, assumed)),
        update=assumed.update_s * shape.parameters / 1e9,
    )


def _moved(shape: Shape, setup: Setup) -> float:
    """Bytes that a rank takes in over the links in a step. FSDP2, every micro-batch: all weights in the compute dtype
    for each forward pass and for the backward pass, and float32 gradients; DDP: gradients twice a step."""
    others = (setup.ranks - 1) / setup.ranks
    if setup.sharding == "none":
        return 8 * setup.trained(shape) * others
    passes = 3 + int(setup.reference)  # forward, backward, old log-probabilities
    micro_batches = ceil(setup.share / setup.micro_batch_size)
    return micro_batches * others * shape.parameters * (WIDTHS[setup.dtype] * passes + 4)


def _link(setup: Setup, hardware: Hardware, gpu: Gpu, assumed: Assumptions) -> float:
    return gpu.link if setup.ranks <= hardware.gpus else assumed.network_gb_s * 1e9
