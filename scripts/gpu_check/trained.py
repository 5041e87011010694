"""One training worker, from its start to its end, and what is found in what it told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from .outcomes import Failed
from .worker import Worker


@dataclass
class Trained:
    """What a training worker told before it ended, or was killed."""

    events: list[dict[str, Any]] = field(default_factory=list)
    result: dict[str, Any] | None = None
    error: str | None = None

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["kind"] == kind]

    @property
    def steps(self) -> list[int]:
        return [event["step"] for event in self.of_kind("step")]

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence, 0 where nothing was sampled."""
        return max((event["longest"] for event in self.of_kind("sampled")), default=0)

    def follow(
        self,
        worker: Worker,
        config: Mapping[str, Any],
        params: Mapping[str, Any],
        stop_after: int | None,
        kill_after: int | None,
    ) -> None:
        """Until the run ends, is stopped after step ``stop_after``, or has made step ``kill_after``."""
        worker.start(config)
        worker.call(1, "train", params)
        for frame in worker.frames():
            if frame["type"] == "event":
                self.events.append(frame["event"])
                step = self.steps[-1] if frame["event"]["kind"] == "step" else None
                if step is not None and step + 1 == stop_after:  # a stop ends the step that is being made
                    worker.stop()
                if step is not None and step == kill_after:
                    return
            elif frame["type"] == "error":
                self.error = frame["error"]["message"]
                return
            elif frame["type"] == "result":
                self.result = frame["value"]
                return

    def check(self, steps: int) -> None:
        """Raises :class:`Failed` where it isn't the first ``steps`` steps of a run that learns."""
        if self.steps != list(range(1, steps + 1)):
            raise Failed(self.error or f"it made the steps {self.steps}")
        if not any(step["grad_norm"] > 0 for step in self.of_kind("step")):
            raise Failed("no step has a gradient")

    @property
    def logprob_gap(self) -> float | None:
        gaps = [step["logprob_difference"] for step in self.of_kind("step") if "logprob_difference" in step]
        return float(f"{max(gaps):.3g}") if gaps else None

    @property
    def step_s(self) -> float:
        """Without the first step, which warms up."""
        return round(fmean(step["seconds"] for step in self.of_kind("step")[1:]), 3)

    @property
    def computed(self) -> tuple[int, float]:
        """Tokens and seconds of these steps on rank 0, without the sampling and the weight update."""
        sampled = {event["step"]: event for event in self.of_kind("sampled")}
        later = [(step["seconds"], sampled[step["step"]]) for step in self.of_kind("step")[1:]]
        return sum(each["tokens"] for _, each in later), sum(whole - each["seconds"] for whole, each in later)
