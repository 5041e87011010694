"""Training worker: GRPO on the reflections of a set of failures, by one process or by one on each GPU.

    python -m rrr_workers.roles.trainer      (frames on stdin and stdout: rrr_workers/runtime/frames.py)

``start.options``: {date: of the run}. One method, ``train``, whose parameters, events and result are in
src/protocol/methods.ts. Of several ranks (RANK, WORLD_SIZE: training/group.py) only rank 0 speaks the protocol.
"""

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

from rrr_workers.config import Config, parse_config
from rrr_workers.engines.vllm_args import is_cpu_backend, prepare_environment
from rrr_workers.runtime.heartbeat import Heartbeat
from rrr_workers.runtime.one_method import OneMethod
from rrr_workers.runtime.role import Call, Role, day_of
from rrr_workers.runtime.serve import serve
from rrr_workers.tasks.loaded import LoadedTask
from rrr_workers.tasks.registry import load_task

_MEET_S = 3600.0  # a rank may be started long before rank 0 is asked to train


async def build(config: Config, options: dict[str, Any]) -> Role:
    _prepare()
    loaded = load_task(config.task)

    def answer(call: Call) -> dict[str, Any]:
        loading = Heartbeat(call.progress, "loading the trainer", config.workers.ready_timeout_s)
        # Not before the call: torch, TRL and vLLM take seconds to import.
        from rrr_workers.training import group

        task = {"config": config.model_dump(mode="json"), "options": options, "params": call.params}

        def work() -> dict[str, Any]:
            return _train(config, loaded, call, options, loading.stop)

        try:
            return group.lead(task, work, _backend(), wait_s(config))
        finally:
            loading.stop()

    device = "cpu" if is_cpu_backend() else "cuda"
    return OneMethod("train", answer, {"model": config.model.name, "device": device, "task": loaded.task.name})


def follow() -> None:
    """A rank other than 0: train along with it. Never returns."""
    _prepare()
    for quiet, level in (("TRANSFORMERS_VERBOSITY", "error"), ("VLLM_LOGGING_LEVEL", "ERROR")):
        os.environ.setdefault(quiet, level)  # rank 0 says it all
    from rrr_workers.training import group

    def work(task: Mapping[str, Any]) -> None:
        config = parse_config(task["config"])
        call = Call("train", task["params"], lambda _: None, lambda *_: None, threading.Event())
        _train(config, load_task(config.task), call, task["options"])

    group.follow(work, _backend(), _MEET_S)


def wait_s(config: Config) -> float:
    """How long ranks wait for each other: longer than the command line waits for a step, which says more."""
    return 2 * max(config.train.step_timeout_s, config.workers.ready_timeout_s)


def _train(
    config: Config,
    loaded: LoadedTask,
    call: Call,
    options: Mapping[str, Any],
    on_first_step: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    from rrr_workers.training.run import train

    return train(config, loaded, call, day_of(options), on_first_step)


def _prepare() -> None:
    if "WORLD_SIZE" not in os.environ:
        # With several GPUs in sight transformers would split every batch over them, which TRL refuses.
        os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    prepare_environment(int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # a warning about rollout_func: trl is pinned


def _backend() -> str:
    return "gloo" if is_cpu_backend() else "cpu:gloo,cuda:nccl"


if __name__ == "__main__":
    if os.environ.get("RANK", "0") == "0":
        serve("trainer", build)
    else:
        follow()
