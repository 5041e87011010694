"""Worker that tells what a run takes: GPUs, memory, disk, tokens and hours, and which settings fit given GPUs.

    python -m rrr_workers.roles.plan      (frames on stdin and stdout: rrr_workers/runtime/frames.py)

Methods ``plan`` {gpus, nodes, queries, known, arms, assume} and ``choose`` {models, hardware, fetch}; what they
return is in src/protocol/planning.ts. Needs neither torch nor vLLM, and reads of a model its config.json alone.
"""

import asyncio
from typing import Any

from rrr_workers.config import Config
from rrr_workers.planning.assumptions import Hints
from rrr_workers.planning.cards import Hardware, find_hardware, parse_hardware
from rrr_workers.planning.choose import choices
from rrr_workers.planning.models import find_model
from rrr_workers.planning.resources import estimate, used_gpus
from rrr_workers.runtime.role import Call, Role
from rrr_workers.runtime.serve import serve


class PlanRole:
    def __init__(self, config: Config):
        self._config = config

    def info(self) -> dict[str, Any]:
        return {}

    async def handle(self, call: Call) -> dict[str, Any]:
        answers = {"plan": self._plan, "choose": self._choose}
        if call.method not in answers:
            raise ValueError(f"unknown method {call.method!r}")
        return await asyncio.to_thread(answers[call.method], call.params)

    async def close(self) -> None:
        """Nothing is held."""

    def _plan(self, params: dict[str, Any]) -> dict[str, Any]:
        config = self._config
        hardware = _hardware(params, used_gpus(config))
        model = find_model(config.model.name, config.model.revision, config.model.dtype)
        hints = Hints(**params["queries"], known=params["known"])
        return estimate(config, model, hardware, hints, params["arms"], params["assume"])

    def _choose(self, params: dict[str, Any]) -> dict[str, Any]:
        models = [find_model(name, fetch=params["fetch"]) for name in params["models"]]
        hardware = [_hardware(each, 1) for each in params["hardware"]]
        return {"choices": choices(self._config, models, hardware)}


def _hardware(asked: dict[str, Any], used: int) -> Hardware:
    """``used``: how many GPUs are meant where only their size is told."""
    gpus, nodes = asked["gpus"], asked["nodes"]
    return parse_hardware(gpus, used, nodes) if gpus else find_hardware(used, nodes)


async def build(config: Config, options: dict[str, Any]) -> Role:
    return PlanRole(config)


if __name__ == "__main__":
    serve("plan", build)
