"""Verdicts on many completions: how many are made at once, in which threads, and what is left where one raises."""

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from harness import resolved_config
from rrr_workers.config import parse_config
from rrr_workers.episode import Decoding, run_episode
from rrr_workers.errors import UserError
from rrr_workers.tasks.base import FinishReason, Query, Verdict
from rrr_workers.tasks.countdown.task import Countdown
from rrr_workers.tasks.loaded import Item, LoadedTask, TaskError
from test_episode import Recorded

QUERY = Query("q1", {"nums": [1, 2], "target": 3})
#: More threads than asyncio's own executor has on any machine.
MANY = 40


class Judge(Countdown):
    """Passes after ``act(completion)``, and notes what it was asked, by which thread, and how many judged at once."""

    def __init__(self, act: Callable[[str], object], parallel: int | None = None):
        super().__init__()
        self.waits = parallel is not None
        if parallel is not None:
            self.parallel = parallel
        self._act = act
        self._lock = threading.Lock()
        self.begun: list[str] = []
        self.threads: set[int] = set()
        self.running = self.most = 0

    def judge(self, query: Query, completion: str, finish_reason: FinishReason) -> Verdict:
        with self._lock:
            self.begun.append(completion)
            self.threads.add(threading.get_ident())
            self.running += 1
            self.most = max(self.most, self.running)
        try:
            self._act(completion)
        finally:
            with self._lock:
                self.running -= 1
        return Verdict(True, "passed", completion)


def items(count: int) -> list[Item]:
    return [(QUERY, str(number), "stop") for number in range(count)]


def judge_all(judge: Judge, count: int) -> list[str]:
    return [verdict.detail for verdict in LoadedTask(judge, judge).judge_all(items(count))]


def test_a_verifier_that_waits_judges_as_many_at_once_as_it_says() -> None:
    full = threading.Barrier(MANY)  # broken, and an error, where fewer come
    assert judge_all(Judge(lambda _: full.wait(20), MANY), MANY) == [str(number) for number in range(MANY)]
    few = Judge(lambda _: time.sleep(0.01), 3)
    assert judge_all(few, 30) == [str(number) for number in range(30)]
    assert few.most == 3
    assert threading.get_ident() not in few.threads


def test_a_verifier_that_does_not_wait_judges_in_order_in_the_caller_s_thread() -> None:
    judge = Judge(lambda _: None)
    assert judge_all(judge, 30) == judge.begun == [str(number) for number in range(30)]
    assert judge.threads == {threading.get_ident()}


def test_nothing_to_judge() -> None:
    assert judge_all(Judge(lambda _: None), 0) == judge_all(Judge(lambda _: None, 3), 0) == []


def test_the_first_error_by_order_is_raised_though_a_later_one_came_sooner() -> None:
    later_raised = threading.Event()

    def act(completion: str) -> None:
        if completion == "3":
            later_raised.set()
            raise UserError("of 3")
        assert later_raised.wait(20)
        time.sleep(0.1)
        if completion in ("1", "2"):
            raise UserError(f"of {completion}")

    judge = Judge(act, 4)
    with pytest.raises(UserError, match="of 1"):
        LoadedTask(judge, judge).judge_all(items(4))


def test_after_an_error_nothing_is_begun_and_nothing_runs() -> None:
    def act(completion: str) -> None:
        time.sleep(0.02)
        if completion == "5":
            raise UserError("of 5")

    for parallel in (None, 2):
        judge = Judge(act, parallel)
        with pytest.raises(UserError, match="of 5"):
            LoadedTask(judge, judge).judge_all(items(200))
        assert judge.running == 0
        begun = list(judge.begun)
        assert 6 <= len(begun) < 100
        time.sleep(0.1)
        assert judge.begun == begun


async def test_episodes_are_judged_as_many_at_once_as_the_verifier_says() -> None:
    full = threading.Barrier(MANY)
    together, one = Judge(lambda _: full.wait(20), MANY), Judge(lambda _: time.sleep(0.01), 1)
    for judge in (together, one):
        decoding = Decoding(parse_config(resolved_config()), LoadedTask(judge, judge))
        episodes = [run_episode(Recorded(str(number)), decoding, QUERY, "eval") for number in range(MANY)]
        done = await asyncio.gather(*episodes)
        assert [each.first and each.first.verdict.detail for each in done] == [str(number) for number in range(MANY)]
    assert (together.most, one.most) == (MANY, 1)


async def test_an_episode_whose_verifier_does_not_wait_is_judged_in_the_loop_s_thread() -> None:
    judge = Judge(lambda _: None)
    await run_episode(Recorded("x"), Decoding(parse_config(resolved_config()), LoadedTask(judge, judge)), QUERY, "eval")
    assert judge.threads == {threading.get_ident()}


@pytest.mark.parametrize("parallel", [0, -1, 1.5, "4"])
def test_a_number_of_verdicts_at_once_that_will_not_do(parallel: int) -> None:
    judge = Judge(lambda _: None, parallel)
    with pytest.raises(TaskError, match=f"parallel of Judge is {parallel!r}") as caught:
        LoadedTask(judge, judge)
    assert "1 or more" in (caught.value.cure or "")
    judge.waits = False
    LoadedTask(judge, judge)  # nobody looks at it
