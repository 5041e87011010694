"""GPUs as nvidia-smi tells of them: those that CUDA_VISIBLE_DEVICES leaves in sight, and what they hold."""

import os
import re
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import psutil

GIB = 2**30
_MIB = 2**20
_POLL_S = 0.25
# Operations a second in bfloat16, dense, as the data sheets have them.
_PEAK_FLOPS = {
    r"H100 80GB HBM3": 989e12,
    r"H100 PCIe": 756e12,
    r"H200(?! NVL)": 989e12,
    r"A100": 312e12,
    r"L40S": 362e12,
    r"RTX 4090(?! D)": 165e12,
}


@dataclass(frozen=True)
class Card:
    name: str
    memory: int  # bytes
    driver: str


def query(fields: str) -> list[list[str]]:
    """A row of values for each GPU."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    done = subprocess.run([*command, *(["-i", visible] if visible else [])], capture_output=True, text=True, check=True)
    return [[value.strip() for value in line.split(",")] for line in done.stdout.splitlines()]


def find_cards() -> list[Card]:
    return [
        Card(name, int(memory) * _MIB, driver) for name, memory, driver in query("name,memory.total,driver_version")
    ]


def used() -> list[int]:
    """Bytes of each GPU that are taken, by whomever."""
    return [int(taken) * _MIB for (taken,) in query("memory.used")]


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
    return next((peak for pattern, peak in _PEAK_FLOPS.items() if re.search(rf"\b{pattern}\b", name)), None)


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
