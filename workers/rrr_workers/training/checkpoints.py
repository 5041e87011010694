"""Checkpoints that are complete or not there: written under another name, synced to the disk, then renamed."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

_PREFIX = "checkpoint-"
STAGING = ".partial"
#: A file of each checkpoint: what a run that goes on from it must agree with.
STAMP = "rrr.json"


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix(_PREFIX))


def complete_checkpoints(folder: Path) -> list[Path]:
    """In the order of their steps."""
    return sorted(folder.glob(f"{_PREFIX}[0-9]*"), key=step_of)


def let_cpu_ranks_load() -> None:
    """accelerate calls the device of a CPU rank "cpu:0", which torch can't load an optimizer's state to."""
    from torch.serialization import register_package

    register_package(0, lambda _: None, lambda storage, location: storage if location.startswith("cpu:") else None)


def publish(staged: Path, folder: Path, keep: int) -> Path:
    """Move the finished ``staged`` checkpoint to ``folder`` and remove all but the ``keep`` newest."""
    published = folder / staged.name
    replace_folder(staged, published)
    for old in complete_checkpoints(folder)[:-keep]:
        shutil.rmtree(old)
    return published


def write_folder(target: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a folder that only then becomes ``target``."""
    partial = target.with_name(target.name + STAGING)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    write(partial)
    replace_folder(partial, target)


def replace_folder(source: Path, target: Path) -> None:
    """Rename ``source`` to ``target`` once all it holds is on the disk."""
    let_others_read(source)
    for path in [*source.rglob("*"), source]:
        _sync(path)
    shutil.rmtree(target, ignore_errors=True)  # of an earlier attempt at the same step
    source.rename(target)
    _sync(target.parent)


def let_others_read(folder: Path) -> None:
    """Give every file in ``folder`` the mode that any new file gets: safetensors writes its own for the owner alone."""
    (umask,) = re.findall(r"^Umask:\s+(\d+)$", Path("/proc/self/status").read_text(), re.MULTILINE)
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(0o666 & ~int(umask, 8))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
