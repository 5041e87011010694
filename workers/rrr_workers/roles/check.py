"""Worker that finds what a run would refuse before it loads a model, for ``--dry-run``.

    python -m rrr_workers.roles.check      (frames on stdin and stdout: rrr_workers/runtime/frames.py)

Method ``check`` {}: nothing, or an error. Nothing is fetched: what is on the hub alone is not looked at.
"""

from pathlib import Path
from typing import Any

from rrr_workers.config import Config
from rrr_workers.data.model_check import check_model, check_system_prompt
from rrr_workers.data.prepare import check_first_rows
from rrr_workers.engines.model_folder import check_folder
from rrr_workers.runtime.one_method import OneMethod
from rrr_workers.runtime.role import Call, Role
from rrr_workers.runtime.serve import serve
from rrr_workers.tasks.registry import load_task


async def build(config: Config, options: dict[str, Any]) -> Role:
    loaded = load_task(config.task)

    def answer(_: Call) -> dict[str, Any]:
        if Path(config.model.name).is_absolute():
            check_model(config)
        if config.eval.model is not None and Path(config.eval.model).is_absolute():
            check_folder(Path(config.eval.model), config.model.max_model_len)
        check_system_prompt(config, loaded.task.prompts.system)
        if config.data.source != "hub":
            check_first_rows(config, loaded)
        return {}

    return OneMethod("check", answer, {"task": loaded.task.name})


if __name__ == "__main__":
    serve("check", build)
