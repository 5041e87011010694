"""What the tests of training share: a small run's config, its failures, and a call as the protocol would make it."""

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from harness import resolved_config
from rrr_demos.tiny import countdown_world as world
from rrr_workers.config import Config, parse_config
from rrr_workers.engines.vllm_args import prepare_environment
from rrr_workers.hashing import content_hash
from rrr_workers.runtime.role import Call
from rrr_workers.tasks.registry import load_task

TASK = {
    "name": f"{Path(__file__).with_name('judged_by_hash.py')}:JudgedByHash",
    "options": {"answer": "whole", "number_separator": ","},
    "prompts": {"question": world.QUESTION, "reflection": world.REFLECTION, "retry": world.RETRY},
}
STEPS = 4


def training_config(model: Path, **sections: Any) -> dict[str, Any]:
    """Resolved: 4 steps of 2 failures x 4 reflections, in micro-batches of 4, with a checkpoint every second step."""
    small = {"steps": STEPS, "micro_batch_size": 4, "retries_per_reflection": 2, "checkpoint_every": 2}
    train = {**small, "learning_rate": 2e-3, "warmup_ratio": 0.0, **sections.pop("train", {})}
    named = {"model": {"name": str(model), "dtype": "float32"}, "task": TASK, "train": train}
    return resolved_config(**{**named, **sections})


def write_failures(path: Path, count: int = 6) -> Path:
    """``count`` rows as ``rrr build-failures`` writes them."""
    rows = [
        {
            "id": content_hash(index)[:16],
            "index": index,
            "query": {"nums": list(problem.numbers), "target": problem.target},
            "draw": 0,
            "completion": "+".join(map(str, problem.numbers)),
            "kind": "missed_target",
            "detail": "",
            "tokens": 6,
            "finish_reason": "stop",
        }
        for index, problem in zip(range(count), world.problems("train"), strict=False)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run_training(
    config: dict[str, Any],
    failures: Path,
    output: Path,
    *,
    resume: bool = False,
    last_step: int | None = None,
    on_event: Callable[[dict[str, Any], Call], None] = lambda _event, _call: None,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Train in this process. Returns the result and the events; the events so far are in ``error.events`` of errors."""
    with patch.dict(os.environ):  # a trainer sets its rank, its port and where trackers write
        params = {"failures": str(failures), "output": str(output), "resume": resume}
        return _train(
            parse_config(config), params if last_step is None else {**params, "last_step": last_step}, on_event
        )


def _train(
    config: Config, params: dict[str, Any], on_event: Callable[[dict[str, Any], Call], None]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    prepare_environment(1)
    from rrr_workers.training.run import train

    events: list[dict[str, Any]] = []

    def emit(event: Any) -> None:
        json.dumps(event, allow_nan=False)
        events.append(dict(event))
        on_event(events[-1], call)

    call = Call("train", params, emit, lambda *_: None, threading.Event())
    try:
        return train(config, load_task(config.task), call), events
    except Exception as error:  # raised again, with the events for the test to look at
        error.events = events  # type: ignore[attr-defined]
        raise


def of_kind(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["kind"] == kind]
