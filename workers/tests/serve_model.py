"""vLLM's OpenAI server on a CPU: ``python serve_model.py --model FOLDER --port N ...``.

Its processes are forks, which share what is imported here: spawned, as vLLM has them on a CPU, each imports it again.
"""

import os
import runpy
from typing import Any

from vllm.platforms.cpu import CpuPlatform

_settle = CpuPlatform.check_and_update_config


def _settle_and_fork(_: Any, config: Any) -> None:
    _settle(config)
    os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = "fork"


if __name__ == "__main__":
    CpuPlatform.check_and_update_config = classmethod(_settle_and_fork)
    runpy.run_module("vllm.entrypoints.openai.api_server", run_name="__main__", alter_sys=True)
