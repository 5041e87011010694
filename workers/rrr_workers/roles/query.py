"""Worker that makes a query of what a person typed.

    python -m rrr_workers.roles.query      (frames on stdin and stdout: rrr_workers/runtime/frames.py)

Method ``query`` {text}. The task alone is loaded.
"""

import json
from typing import Any

from rrr_workers.config import Config
from rrr_workers.data.sources import typed_query
from rrr_workers.runtime.one_method import OneMethod
from rrr_workers.runtime.role import Call, Role
from rrr_workers.runtime.serve import serve
from rrr_workers.tasks.registry import load_task


async def build(config: Config, options: dict[str, Any]) -> Role:
    loaded = load_task(config.task)

    def answer(call: Call) -> dict[str, Any]:
        query = typed_query(config, loaded, call.params["text"])
        return {"id": query.id, "fields": json.dumps(query.fields, ensure_ascii=False)}

    return OneMethod("query", answer, {"task": loaded.task.name})


if __name__ == "__main__":
    serve("query", build)
