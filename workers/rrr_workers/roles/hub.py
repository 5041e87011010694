"""Worker that knows what a run takes from the hub, and gets it.

    python -m rrr_workers.roles.hub      (frames on stdin and stdout: rrr_workers/runtime/frames.py)

Method ``hub`` {parts, commits, fetch}, whose parameters and result are in src/protocol/methods.ts. Neither torch nor
vLLM is imported.
"""

from typing import Any

from rrr_workers.benchmarks.rows import hub_set
from rrr_workers.config import Config
from rrr_workers.errors import UserError
from rrr_workers.hub.fetch import check_here, fetch
from rrr_workers.hub.repos import Repo, data_of, find_commit, models_of
from rrr_workers.runtime.one_method import OneMethod
from rrr_workers.runtime.role import Call, Role
from rrr_workers.runtime.serve import serve


def _benchmarks_of(config: Config) -> list[Repo]:
    return [hub_set(task, config) for task in config.benchmarks.tasks] if config.benchmarks.source == "hub" else []


_PARTS = {"models": models_of, "data": data_of, "benchmarks": _benchmarks_of}


async def build(config: Config, options: dict[str, Any]) -> Role:
    def answer(call: Call) -> dict[str, Any]:
        repos = [repo for part in call.params["parts"] for repo in _PARTS[part](config)]
        return {"repos": [_answer(repo, call, config.model.max_model_len) for repo in repos]}

    return OneMethod("hub", answer, {})


def _answer(repo: Repo, call: Call, max_model_len: int) -> dict[str, Any]:
    told: dict[str, Any] = {"name": repo.name, "kind": repo.kind, "key": repo.key}
    told |= {"commit": None, "bytes": None, "error": None}
    try:
        told["commit"] = commit = call.params["commits"].get(repo.name) or find_commit(repo)
        if call.params["fetch"]:
            told["bytes"] = fetch(repo, commit, max_model_len, call.progress)
        else:
            check_here(repo, commit, max_model_len)
    except UserError as error:
        told["error"] = {"message": str(error), "cure": error.cure}
    return told


if __name__ == "__main__":
    serve("hub", build)
