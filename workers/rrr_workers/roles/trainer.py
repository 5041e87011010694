"""Training worker: GRPO on the reflections of a set of failures.

    python -m rrr_workers.roles.trainer      (frames on stdin and stdout: rrr_workers/runtime/frames.py)

``start.options``: {date: of the run}. One method, ``train``, whose parameters, events and result are in
src/protocol/methods.ts.
"""

import os
from typing import Any

from rrr_workers.config import Config
from rrr_workers.engines.vllm_args import is_cpu_backend, prepare_environment
from rrr_workers.runtime.one_method import OneMethod
from rrr_workers.runtime.role import Call, Role, day_of
from rrr_workers.runtime.serve import serve
from rrr_workers.tasks.registry import load_task


async def build(config: Config, options: dict[str, Any]) -> Role:
    prepare_environment(config, engines=1)
    if "WORLD_SIZE" not in os.environ:  # alone, without a distributed launcher
        # With several GPUs in sight transformers would split every batch over them, which TRL refuses.
        os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # a warning about rollout_func: trl is pinned
    loaded = load_task(config.task)

    def answer(call: Call) -> dict[str, Any]:
        # Not before the call: torch, TRL and vLLM take seconds to import.
        from rrr_workers.training.run import train

        return train(config, loaded, call, day_of(options))

    device = "cpu" if is_cpu_backend() else "cuda"
    return OneMethod("train", answer, {"model": config.model.name, "device": device, "task": loaded.task.name})


if __name__ == "__main__":
    serve("trainer", build)
