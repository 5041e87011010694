"""A role of several ranks that trains nothing, for test_group.py; SCENARIO says what which rank does."""

import os
import signal
import sys
import threading
from collections.abc import Mapping
from typing import Any

from rrr_workers.config import Config
from rrr_workers.errors import CallFailed, UserError
from rrr_workers.runtime.one_method import OneMethod
from rrr_workers.runtime.role import Call, Role
from rrr_workers.runtime.serve import serve

_WAIT_S = 60.0


def work(task: Mapping[str, Any], call: Call | None = None) -> dict[str, Any]:
    from torch import distributed

    from rrr_workers.training import group

    what, _, whose = os.environ["SCENARIO"].partition(" ")
    summed = group.sum_over_ranks(group.rank() + 1, 1)
    if what == "sum":
        words: list[Any] = [None] * group.world_size()
        distributed.all_gather_object(words, task["words"])
        return {"sum": summed, "least": group.least_over_ranks(group.rank() + 1), "words": words}
    if call:
        call.emit({"kind": "together"})
    if what == "wait":
        threading.Event().wait(_WAIT_S)
    if whose == str(group.rank()):
        if what == "user":
            raise UserError("what the user wrote")
        if what == "call":
            raise CallFailed("not now", retryable=True)
        if what == "bug":
            raise ZeroDivisionError("a defect")
        os.kill(os.getpid(), signal.SIGKILL)
    group.sum_over_ranks(1)  # waits for the one that never comes
    return {}


async def build(_config: Config, _options: dict[str, Any]) -> Role:
    def answer(call: Call) -> dict[str, Any]:
        from rrr_workers.training import group

        return group.lead(call.params, lambda: work(call.params, call), "gloo", _WAIT_S)

    return OneMethod("train", answer, {})


if __name__ == "__main__":
    if sys.argv[1:] == ["meet"]:
        from rrr_workers.training import group

        group.lead({}, dict, "gloo", 5.0)
    elif os.environ["RANK"] == "0":
        serve("ranked", build)
    else:
        from rrr_workers.training import group

        group.follow(work, "gloo", _WAIT_S)
