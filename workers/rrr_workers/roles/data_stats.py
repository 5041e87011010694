"""Worker that describes a data set as a run would split it.

    python -m rrr_workers.roles.data_stats      (frames on stdin and stdout: rrr_workers/runtime/frames.py)

Method ``stats`` {}. The task alone is loaded.
"""

from typing import Any

from rrr_workers.config import Config
from rrr_workers.data.stats import describe
from rrr_workers.runtime.one_method import OneMethod
from rrr_workers.runtime.role import Role
from rrr_workers.runtime.serve import serve
from rrr_workers.tasks.registry import load_task


async def build(config: Config, options: dict[str, Any]) -> Role:
    loaded = load_task(config.task)
    return OneMethod("stats", lambda _: describe(config, loaded), {"task": loaded.task.name})


if __name__ == "__main__":
    serve("data_stats", build)
