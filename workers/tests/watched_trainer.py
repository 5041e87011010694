"""The trainer role, run as ``rrr_workers.roles.trainer`` is, with what its tests and benches need around it.

RRR_TEST_SHARD=1         accelerate ignores FSDP on a CPU: with this the model is really sharded, over gloo
RRR_TEST_SAMPLED=FILE    every rank appends what it sampled, a JSON line a step: {step, rank, ids, passed, advantages}
RRR_TEST_FAULT=JSON      {rank, at, how}: at "step" (the second step's sampling), "sync" or "save"; how "killed",
                         "stopped", "raises" or "memory"
"""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def shard_on_cpu() -> None:
    from accelerate.state import AcceleratorState, PartialState
    from accelerate.utils import DistributedType

    original = AcceleratorState.__init__

    def init(self: Any, *args: Any, fsdp_plugin: Any = None, **kwargs: Any) -> None:
        original(self, *args, fsdp_plugin=fsdp_plugin, **kwargs)
        if fsdp_plugin is not None and self.distributed_type == DistributedType.MULTI_CPU:
            self.distributed_type = PartialState._shared_state["distributed_type"] = DistributedType.FSDP
            self.fsdp_plugin = fsdp_plugin

    AcceleratorState.__init__ = init


def record_samples(path: str) -> None:
    from rrr_workers.training.trainer import ReflectionTrainer

    original = ReflectionTrainer._generate_and_score_completions

    def recorded(self: Any, inputs: Any) -> Any:
        sampling, sampled = self.rollout_func, {}

        def sample(*args: Any) -> Any:
            sampled.update(sampling(*args))
            return dict(sampled)

        self.rollout_func = sample
        batch = original(self, inputs)
        self.rollout_func = sampling
        line = {
            "step": self.state.global_step,
            "rank": self.accelerator.process_index,
            "ids": sampled["completion_ids"],
            "passed": [bool(reward) for reward in sampled["retry_reward"]],
            "advantages": batch["advantages"].tolist(),
        }
        with open(path, "a") as file:
            file.write(json.dumps(line) + "\n")
        return batch

    ReflectionTrainer._generate_and_score_completions = recorded  # type: ignore[method-assign]


def commit(how: str) -> None:
    Path(os.environ["RRR_TEST_FAULT_AT"]).write_text(str(time.time()))
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "stopped":
        os.kill(os.getpid(), signal.SIGSTOP)
    if how == "raises":
        raise ZeroDivisionError("a planted fault")
    if how == "memory":
        import torch

        raise torch.OutOfMemoryError("a planted lack of memory")


def plant(rank: int, at: str, how: str) -> None:
    if int(os.environ["RANK"]) != rank:
        return
    from rrr_workers.training.engine import ColocatedEngine
    from rrr_workers.training.rollout import Rollout
    from rrr_workers.training.trainer import ReflectionTrainer

    places: dict[str, tuple[type, str, Callable[..., bool]]] = {
        "step": (Rollout, "sample", lambda _, __, trainer: trainer.state.global_step == 1),
        "sync": (ColocatedEngine, "_iter_named_params", lambda engine: engine.sync_check._updates == 1),
        "save": (ReflectionTrainer, "_save_checkpoint", lambda *_: True),
    }
    owner, name, due = places[at]
    original = getattr(owner, name)

    def faulty(*args: Any, **kwargs: Any) -> Any:
        if due(*args, **kwargs):
            commit(how)
        return original(*args, **kwargs)

    setattr(owner, name, faulty)


def main() -> None:
    from rrr_workers.roles import trainer

    original = trainer._train

    def train(*args: Any) -> Any:
        if os.environ.get("RRR_TEST_SHARD"):
            shard_on_cpu()
        if path := os.environ.get("RRR_TEST_SAMPLED"):
            record_samples(path)
        if fault := os.environ.get("RRR_TEST_FAULT"):
            plant(**json.loads(fault))
        return original(*args)

    trainer._train = train
    if os.environ.get("RANK", "0") == "0":
        trainer.serve("trainer", trainer.build)
    else:
        trainer.follow()


if __name__ == "__main__":
    main()
