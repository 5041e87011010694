"""Worker that shows what a task makes of its rows.

    python -m rrr_workers.roles.task_check      (frames on stdin and stdout: rrr_workers/runtime/frames.py)

Method ``check`` {rows}. The task alone is loaded.
"""

from typing import Any

from rrr_workers.config import Config
from rrr_workers.data.task_check import check_task
from rrr_workers.runtime.one_method import OneMethod
from rrr_workers.runtime.role import Role
from rrr_workers.runtime.serve import serve
from rrr_workers.tasks.registry import load_task


async def build(config: Config, options: dict[str, Any]) -> Role:
    loaded = load_task(config.task)
    return OneMethod("check", lambda call: check_task(config, loaded, call.params["rows"]), {"task": loaded.task.name})


if __name__ == "__main__":
    serve("task_check", build)
