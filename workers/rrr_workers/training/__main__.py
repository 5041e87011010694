"""Training worker: GRPO on the reflections of a set of failures.

    python -m rrr_workers.training      (frames on stdin and stdout: rrr_workers/protocol.py)

``start.options``: {}. One method, ``train``, whose parameters, events and result are in src/protocol/methods.ts.
"""

import asyncio
import os
from typing import Any

from rrr_workers.config import Config
from rrr_workers.engines.vllm_args import is_cpu_backend, prepare_environment
from rrr_workers.protocol import Call, Role, serve
from rrr_workers.tasks.base import Task
from rrr_workers.tasks.registry import load_task


class TrainingRole:
    """The role of this worker."""

    def __init__(self, config: Config, task: Task):
        self._config = config
        self._task = task

    def info(self) -> dict[str, Any]:
        return {
            "model": self._config.model.name,
            "device": "cpu" if is_cpu_backend() else "cuda",
            "task": self._task.name,
        }

    async def handle(self, call: Call) -> dict[str, Any]:
        if call.method != "train":
            raise ValueError(f"unknown method {call.method!r}")
        # Not before the call: torch, TRL and vLLM take seconds to import.
        from rrr_workers.training.run import train

        return await asyncio.to_thread(train, self._config, self._task, call)

    async def close(self) -> None:
        """Nothing: the engine ends with the process."""


async def build(config: Config, options: dict[str, Any]) -> Role:
    prepare_environment(config, engines=1)
    if "WORLD_SIZE" not in os.environ:  # alone, without a distributed launcher
        # With several GPUs in sight transformers would split every batch over them, which TRL refuses.
        os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # a warning about rollout_func: trl is pinned
    return TrainingRole(config, load_task(config.task))


if __name__ == "__main__":
    serve("train", build)
