"""The trainer role, run as rrr_workers.roles.trainer is, with what the check wants to see around it.

It tells, as events, how long a step sampled and on how many tokens. RRR_CHECK_DROPPED=N plants a fault: the last rank's
engine is given update N of the process (from 1) as it should, and does not take it.
"""

import os
import time
from typing import Any

from .on_cpu import shard_if_asked


def replace(owner: Any, **functions: Any) -> None:
    for name, function in functions.items():
        setattr(owner, name, function)


def report_sampling() -> None:
    from rrr_workers.training.engine import ColocatedEngine
    from rrr_workers.training.rollout import Rollout

    sync, sample = ColocatedEngine.sync_weights, Rollout.sample
    begun = 0.0

    def timed_sync(engine: ColocatedEngine) -> None:
        nonlocal begun
        begun = time.monotonic()
        sync(engine)

    def timed_sample(rollout: Rollout, prompts: Any, trainer: Any) -> Any:
        sampled = sample(rollout, prompts, trainer)
        lengths = [
            len(prompt) + len(completion)
            for prompt, completion in zip(sampled["prompt_ids"], sampled["completion_ids"], strict=True)
        ]
        spent = {"seconds": time.monotonic() - begun, "tokens": sum(lengths), "longest": max(lengths)}
        trainer._call.emit({"kind": "sampled", "step": trainer.state.global_step + 1, **spent})
        return sampled

    replace(ColocatedEngine, sync_weights=timed_sync)
    replace(Rollout, sample=timed_sample)


def drop_update(number: int) -> None:
    from rrr_workers.training.engine import ColocatedEngine

    original, updates = ColocatedEngine.sync_weights, 0

    def sync(engine: ColocatedEngine) -> None:
        nonlocal updates
        updates += 1
        if updates != number:
            original(engine)
            return
        model = engine.llm.llm_engine.model_executor.driver_worker.model_runner.model
        model.load_weights = lambda _: set()
        original(engine)
        del model.load_weights

    replace(ColocatedEngine, sync_weights=sync)


def main() -> None:
    from rrr_workers.roles import trainer
    from rrr_workers.runtime.serve import serve

    original = trainer._train
    rank, ranks = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))

    def train(*args: Any, **kwargs: Any) -> Any:
        dropped = int(os.environ.get("RRR_CHECK_DROPPED", "0"))
        if dropped and rank == ranks - 1:
            drop_update(dropped)
        report_sampling()
        shard_if_asked()
        return original(*args, **kwargs)

    replace(trainer, _train=train)
    if rank == 0:
        serve("trainer", trainer.build)
    else:
        trainer.follow()


if __name__ == "__main__":
    main()
