"""rrr's trainer, run as ``rrr_workers.roles.trainer`` is, that takes turns with another trainer (steps.py).

Nothing of it is replaced; what it samples is looked on, and told between two steps.
"""

from typing import Any

from rrr_workers.config import Config
from rrr_workers.roles import trainer
from rrr_workers.runtime.role import Role
from rrr_workers.runtime.serve import serve
from support.steps import Turns, requests


class Watch:
    """On a ``GRPOTrainer``: it takes its turns, and tells what its steps are made of."""

    def __init__(self, trainer: Any):
        self._trainer = trainer
        self._sampled: list[tuple[Any, Any]] = []
        self._turns = Turns({"tell": self._tell})
        self._turns.taken_by(trainer)
        llm = trainer.vllm_generation.llm
        generate = llm.generate

        def watched(prompts: Any, params: Any, **options: Any) -> Any:
            with self._turns.part("retries" if self._sampled else "reflections"):
                outputs = generate(prompts, params, **options)
            self._sampled.append((params, outputs))
            return outputs

        llm.generate = watched

    def _tell(self) -> dict[str, Any]:
        reflections, retries = (requests(*sampled) for sampled in self._sampled)
        self._sampled.clear()
        (rewards,) = self._trainer._logs["rewards"].values()
        return {"reflections": reflections, "retries": retries, "rewards": list(rewards)}


async def build(config: Config, options: dict[str, Any]) -> Role:
    role = await trainer.build(config, options)
    # Not before: torch and vLLM must find the environment that the role has prepared.
    from rrr_workers.training.trainer import ReflectionTrainer

    train = ReflectionTrainer.train

    def watched(self: ReflectionTrainer, *args: Any, **options: Any) -> Any:
        Watch(self)
        return train(self, *args, **options)

    ReflectionTrainer.train = watched
    return role


if __name__ == "__main__":
    serve("trainer", build)
