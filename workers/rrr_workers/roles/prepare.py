"""Worker that prepares the data, and checks what a run needs before it starts.

    python -m rrr_workers.roles.prepare      (frames on stdin and stdout: rrr_workers/runtime/frames.py)

Method ``prepare`` {output}. Neither torch nor vLLM is imported.
"""

from pathlib import Path
from typing import Any

from rrr_workers.config import Config
from rrr_workers.data.model_check import check_model, check_system_prompt
from rrr_workers.data.prepare import prepare
from rrr_workers.runtime.one_method import OneMethod
from rrr_workers.runtime.role import Call, Role
from rrr_workers.runtime.serve import serve
from rrr_workers.tasks.registry import load_task


async def build(config: Config, options: dict[str, Any]) -> Role:
    """Everything that can be found wrong without loading a model is found here."""
    loaded = load_task(config.task)
    check_model(config)
    check_system_prompt(config, loaded.task.prompts.system)

    def answer(call: Call) -> dict[str, Any]:
        def progress(read: int) -> None:
            call.progress("prepare", read, config.data.rows)

        return prepare(config, loaded, Path(call.params["output"]), progress)

    return OneMethod("prepare", answer, {"task": loaded.task.name})


if __name__ == "__main__":
    serve("prepare", build)
