"""A task that any model passes half of the time, told by a hash: rewards that vary without a model that can count."""

from rrr_workers.hashing import content_hash
from rrr_workers.tasks.base import FinishReason, Query, Verdict
from rrr_workers.tasks.countdown.task import Countdown


class JudgedByHash(Countdown):
    def judge(self, query: Query, completion: str, finish_reason: FinishReason) -> Verdict:
        passed = int(content_hash(completion), 16) % 2 == 0
        return Verdict(passed, "passed" if passed else "missed_target")
