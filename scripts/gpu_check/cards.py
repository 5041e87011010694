"""The GPUs of this machine, and what they hold."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import psutil

from rrr_workers.planning.cards import find_gpu
from rrr_workers.planning.nvidia_smi import MIB, query

GIB = 2**30
_POLL_S = 0.25


@dataclass(frozen=True)
class Card:
    name: str
    memory: int  # bytes
    driver: str


def find_cards() -> list[Card]:
    return [Card(name, int(memory) * MIB, driver) for name, memory, driver in query("name,memory.total,driver_version")]


def used() -> list[int]:
    """Bytes of each GPU that are taken, by whomever."""
    return [int(taken) * MIB for (taken,) in query("memory.used")]


def used_by_group(group: int) -> list[int]:
    """For a check without GPUs: resident bytes of the largest process of a process group."""
    sizes = [0]
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == group:
                sizes.append(process.memory_info().rss)
        except (psutil.Error, ProcessLookupError):
            continue
    return [max(sizes)]


def peak_flops(name: str) -> float | None:
    """None for a card that isn't in the table."""
    gpu = find_gpu(name)
    return gpu.flops if gpu else None


def wait_until_free(before: list[int], most_s: float = 20.0) -> None:
    """Until the GPUs hold about what they held ``before``: the memory of a killed process is freed a little later."""
    deadline = time.monotonic() + most_s
    while time.monotonic() < deadline:
        if all(now <= then + GIB // 2 for now, then in zip(used(), before, strict=False)):
            return
        time.sleep(_POLL_S)


class Peak:
    """Watches ``read``, bytes by device, while its context is entered; :attr:`most` is the largest increase."""

    def __init__(self, read: Callable[[], list[int]], before: list[int]):
        self._read = read
        self._before = before
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)
        self.most = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_POLL_S):
            self.most = max([self.most, *(now - then for now, then in zip(self._read(), self._before, strict=False))])
