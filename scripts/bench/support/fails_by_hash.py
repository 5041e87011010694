"""Countdown with a verifier that fails a known share of all completions, each told by its hash.

task.options beyond Countdown's own: failure_rate, and clock, a file that takes the time of every verdict (a double).
"""

import os
import struct
import time
from collections.abc import Mapping
from typing import Any

from rrr_workers.hashing import content_hash
from rrr_workers.tasks.base import FinishReason, Query, Verdict
from rrr_workers.tasks.countdown.task import Countdown

_PARTS = 2**32


class FailsByHash(Countdown):
    def __init__(self, options: Mapping[str, Any] | None = None, prompts: Mapping[str, str | None] | None = None):
        others = dict(options or {})
        self._failure_rate = float(others.pop("failure_rate"))
        self._clock = os.open(others.pop("clock"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        super().__init__(others, prompts)

    def judge(self, query: Query, completion: str, finish_reason: FinishReason) -> Verdict:
        os.write(self._clock, struct.pack("d", time.time()))
        failed = int(content_hash([query.id, completion])[:8], 16) / _PARTS < self._failure_rate
        return Verdict(not failed, "missed_target" if failed else "passed")
