"""What a run takes of GPUs, memory, disk and time. Plain numbers: the command line shows them.

Memory is training's own formula (training/memory.py), which its preflight refuses a run by.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import gcd
from typing import Any

from rrr_workers.config import Config
from rrr_workers.errors import UserError
from rrr_workers.planning.assumptions import Assumptions, Hints, assume
from rrr_workers.planning.cards import GIB, Hardware
from rrr_workers.planning.hours import Engine, sampling_seconds, step_seconds
from rrr_workers.planning.models import Model
from rrr_workers.planning.work import Load, draws_and_kept, evaluation_load, failures_load, step_limits, step_loads
from rrr_workers.training.memory import (
    Setup,
    cache_bytes,
    checkpoint_bytes,
    disk_bytes,
    engine_bytes,
    fits,
    largest_micro_batch,
    loading_bytes,
    model_bytes,
    moments,
)
from rrr_workers.training.memory_advice import advice
from rrr_workers.training.memory_setup import memory_setup

_BYTES_A_TOKEN = 5  # of text in the journals of a run: an estimate
_HOUR = 3600


@dataclass(frozen=True)
class Warn:
    """What won't work, or wastes GPUs, and the setting that helps."""

    message: str
    cure: str
    fatal: bool = True


def ranks_of(config: Config, otherwise: int) -> int:
    """Training processes that the config names, ``otherwise`` where it names none."""
    return len(config.train.devices or ()) or config.train.processes or otherwise


def used_gpus(config: Config) -> int:
    """GPUs that the config names."""
    slurm = config.launch.slurm
    if config.launch.kind == "slurm":
        return max(1, slurm.nodes * slurm.gpus_per_node)
    return max(ranks_of(config, 1), config.workers.count * config.engine.tensor_parallel)


def _sampling_share(config: Config, hardware: Hardware) -> int:
    """Bytes that a sampling worker takes of each of its GPUs."""
    return int(config.engine.gpu_memory_utilization * hardware.card)


def estimate(
    config: Config,
    model: Model,
    hardware: Hardware,
    hints: Hints,
    arms: Sequence[Mapping[str, Any]],
    given: Mapping[str, float],
) -> dict[str, Any]:
    """``resourcesResult`` of src/protocol/planning.ts. Raises :class:`UserError` for what can't be planned."""
    assumed, listed = assume(config, hints, given)
    ranks = ranks_of(config, hardware.total)
    batch, micro = config.train.batch_size, config.train.micro_batch_size
    if batch % (ranks * (micro or 1)):
        each = "" if micro is None else f", {micro} at once (train.micro_batch_size)"
        raise UserError(
            f"train.batch_size {batch} can't be shared by {ranks} processes{each}",
            cure="change train.batch_size or train.micro_batch_size, or plan with another number of GPUs (--gpus)",
        )
    setup = memory_setup(config, hardware.card, ranks=ranks, dtype=model.dtype)
    if micro is None:
        setup = replace(setup, micro_batch_size=largest_micro_batch(model.shape, setup, hardware.room) or 1)
    draws, kept = draws_and_kept(config, assumed)
    return {
        "model": {
            "name": model.name,
            "parameters": model.shape.parameters,
            "dtype": model.dtype,
            "source": model.source,
        },
        "hardware": {
            "gpus": hardware.gpus,
            "nodes": hardware.nodes,
            "card": hardware.card,
            "room": hardware.room,
            "gpu": hardware.gpu.name if hardware.gpu else None,
            "why": hardware.why,
        },
        "training": training_memory(model, setup, hardware),
        "sampling": _sampling_memory(config, model, hardware),
        "host": loading_bytes(model.shape, replace(setup, ranks=min(ranks, hardware.gpus))),
        "disk": _disk(config, model, setup, assumed, arms),
        "draws_a_query": draws,
        "kept": round(assumed.train_queries * kept),
        **_hours(config, model, setup, hardware, assumed, arms),
        "assumptions": listed,
        "warnings": [asdict(each) for each in _warnings(config, model, setup, hardware)],
    }


def training_memory(model: Model, setup: Setup, hardware: Hardware) -> dict[str, Any]:
    each = moments(model.shape, setup)
    moment = max(each, key=lambda name: each[name].total)
    return {
        "ranks": setup.ranks,
        "sharding": setup.sharding,
        "lora": setup.lora.rank if setup.lora else None,
        "micro_batch_size": setup.micro_batch_size,
        "moment": moment,
        "parts": {name: size for name, size in vars(each[moment]).items() if size},
        "total": each[moment].total,
        "fits": fits(model.shape, setup, hardware.room),
    }


def _sampling_memory(config: Config, model: Model, hardware: Hardware) -> dict[str, Any]:
    gpus, tokens = config.engine.tensor_parallel, config.model.max_model_len
    share = _sampling_share(config, hardware)
    left = (share - engine_bytes(model.shape, model.dtype, 0, gpus)) * gpus
    return {
        "workers": config.workers.count if config.engine.name == "vllm" else 0,
        "gpus_each": gpus,
        "share": share,
        "weights": model_bytes(model.shape, model.dtype) // gpus,
        "least": engine_bytes(model.shape, model.dtype, tokens, gpus),
        "cache_tokens": max(0, left) // cache_bytes(model.shape, model.dtype, 1),
    }


def _disk(
    config: Config, model: Model, setup: Setup, assumed: Assumptions, arms: Sequence[Mapping[str, Any]]
) -> dict[str, int]:
    written = failures_load(config, assumed) + evaluation_load(config, assumed, arms)
    keep = config.train.keep_checkpoints
    return {
        "checkpoints": (keep + 1) * checkpoint_bytes(model.shape, setup),
        "model": model_bytes(model.shape, setup.dtype),
        "run": disk_bytes(model.shape, setup, keep),
        "text": int(_BYTES_A_TOKEN * written.completion_tokens),
        "base_model": model_bytes(model.shape, "bfloat16"),
    }


def _hours(
    config: Config,
    model: Model,
    setup: Setup,
    hardware: Hardware,
    assumed: Assumptions,
    arms: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """None of them where the GPU isn't in the table."""
    gpu, shape, train = hardware.gpu, model.shape, config.train
    share = _sampling_share(config, hardware)
    count, gpus = config.workers.count, config.engine.tensor_parallel
    engine = Engine(model.dtype, count, gpus, share, config.workers.max_in_flight)
    step_load = step_loads(config, assumed)
    step = step_seconds(shape, setup, hardware, gpu, step_load, assumed, step_limits(config)) if gpu else None
    loads = {
        "failures": failures_load(config, assumed),
        "train": _times(step_load[0] + step_load[1], train.steps),
        "eval": evaluation_load(config, assumed, arms),
    }
    stages = []
    for name, load in loads.items():
        seconds = None
        if step and name == "train":
            seconds = assumed.start_s + train.steps * step.total
        elif gpu and name == "failures" and config.engine.name != "vllm":
            seconds = 0.0  # an endpoint's, which no roofline knows
        elif gpu:
            seconds = assumed.start_s + sampling_seconds(shape, engine, load, gpu, assumed)
        hours = None if seconds is None else seconds / _HOUR
        counts = {key: round(value) for key, value in asdict(load).items()}
        stages.append({"stage": name, **counts, "hours": hours})
    told = [stage["hours"] for stage in stages]
    hours = sum(told) if gpu else None
    return {
        "step": None if step is None else {**asdict(step), "total": step.total},
        "stages": stages,
        "hours": hours,
        "gpu_hours": None if hours is None else hours * hardware.total,
    }


def _times(load: Load, count: int) -> Load:
    return Load(*(value * count for value in vars(load).values()))


def _warnings(config: Config, model: Model, setup: Setup, hardware: Hardware) -> list[Warn]:
    found = []
    fit = advice(model.shape, setup, hardware.room)
    if not fit.fits:
        found.append(Warn(f"training does not fit: {fit.message}", fit.cure or "train a smaller model"))
    if setup.ranks > hardware.total:
        found.append(
            Warn(
                f"{setup.ranks} training processes need a GPU each, and there are {hardware.total}",
                "name fewer GPUs in train.devices, or lower train.processes",
            )
        )
    if hardware.gpu is None:
        card = f"a card of {hardware.card / GIB:.0f} GiB"
        message = f"hours are not estimated: no data sheet of {card} is known"
        found.append(Warn(message, "name a card: --gpus 8xh100", fatal=False))
    return [*found, *(_sampling_warnings(config, model, hardware) if config.engine.name == "vllm" else [])]


def _sampling_warnings(config: Config, model: Model, hardware: Hardware) -> list[Warn]:
    found, gpus, tokens = [], config.engine.tensor_parallel, config.model.max_model_len
    share = _sampling_share(config, hardware)
    least = engine_bytes(model.shape, model.dtype, tokens, gpus)
    if least > share:
        split = least_tensor_parallel(model, tokens, share, hardware)
        found.append(
            Warn(
                f"a sampling worker needs {least / GIB:.1f} GiB of each GPU for its weights and one sequence, and "
                f"takes {share / GIB:.1f} (engine.gpu_memory_utilization)",
                f"set engine.tensor_parallel: {split}" if split else "sample with a smaller model, or larger GPUs",
            )
        )
    wanted = config.workers.count * gpus
    if wanted != hardware.total:
        fitting = hardware.total // gpus
        idle = f"{hardware.total - wanted} of {hardware.total} GPUs are idle while the sampling workers run"
        missing = f"{config.workers.count} sampling workers need {wanted} GPUs, and there are {hardware.total}"
        cure = f"set workers.count: {fitting}, and workers.devices" if fitting else "lower engine.tensor_parallel"
        if wanted > hardware.total or fitting > config.workers.count:
            found.append(Warn(missing, cure) if wanted > hardware.total else Warn(idle, cure, fatal=False))
    if config.workers.count > 1 and config.workers.devices is None and hardware.nodes == 1:
        found.append(
            Warn(
                f"{config.workers.count} sampling workers would all start on the first GPU: workers.devices is missing",
                "write workers.devices, one value a worker",
            )
        )
    return found


def least_tensor_parallel(model: Model, tokens: int, share: int, hardware: Hardware) -> int | None:
    """The fewest GPUs of a machine that hold an engine with ``tokens`` of KV cache. vLLM splits a model by heads."""
    whole = gcd(model.shape.heads, hardware.gpus)
    counts = (count for count in range(1, hardware.gpus + 1) if whole % count == 0)
    return next((each for each in counts if engine_bytes(model.shape, model.dtype, tokens, each) <= share), None)
