"""When a verifier that is a command is asked again, when it ends the run, and how many processes it has and leaves."""

import json
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from rrr_workers.errors import UserError
from rrr_workers.tasks.base import Query, Verdict
from rrr_workers.tasks.command_verifier import CommandVerifier
from rrr_workers.tasks.countdown.task import Countdown
from rrr_workers.tasks.loaded import Item, LoadedTask
from test_plugins import command

QUERY = Query("q1", {})

# Notes each start and each request. The requests that BAD names get another answer than the usual one.
SOURCE = """
    import json, os, sys, time
    with open({log!r}, "a") as log:
        print("start", os.getpid(), file=log, flush=True)
        for line in sys.stdin:
            asked = json.loads(line)
            print("asked", asked["id"], asked["completion"], file=log, flush=True)
            answer = {{"id": asked["id"], "passed": True}}
            if asked["id"] in {bad}:
                {action}
            print(json.dumps(answer), flush=True)
"""


class Logged:
    """A verifier whose process does ``action`` on the requests ``bad``."""

    def __init__(self, folder: Path, action: str, *bad: int, timeout_s: float = 10.0, processes: int = 1):
        self._log = folder / "log"
        source = textwrap.dedent(SOURCE).format(log=str(self._log), bad=bad, action=action)
        self.verifier = command(folder, source, timeout_s, processes)

    def judge(self, completion: str = "x") -> Verdict:
        return self.verifier.judge(QUERY, completion, "stop")

    @property
    def log(self) -> list[str]:
        return self._log.read_text().splitlines()

    @property
    def asked(self) -> list[str]:
        return [line for line in self.log if line.startswith("asked")]

    @property
    def pids(self) -> list[int]:
        return [int(line.split()[1]) for line in self.log if line.startswith("start")]


def living(pids: list[int]) -> list[int]:
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


def test_one_process_answers_many(tmp_path: Path) -> None:
    logged = Logged(tmp_path, "pass")
    assert [logged.judge(f"c{n}").passed for n in range(3)] == [True] * 3
    assert len(logged.pids) == 1
    assert logged.asked == ["asked 1 c0", "asked 2 c1", "asked 3 c2"]
    logged.verifier.close()
    assert living(logged.pids) == []
    assert logged.judge().passed  # in a new process
    assert len(logged.pids) == 2
    logged.verifier.close()


BREAKS = [
    ("sys.exit(3)", "it ended with status 3"),
    ("sys.exit(0)", "it ended with status 0"),
    ("print('no json')", "printed no JSON but no json"),
    ("print('[]')", 'needs "id": 2'),
    ("answer['id'] -= 1", 'needs "id": 2'),
    ("answer['id'] += 1", 'needs "id": 2'),
    ("answer['id'] = str(answer['id'])", 'needs "id": 2'),
    ("del answer['id']", 'needs "id": 2'),
    ("del answer['passed']", '"passed": true or false'),
    ("answer['passed'] = None", '"passed": true or false'),
    ("answer['passed'] = 'true'", '"passed": true or false'),
    ("answer['kind'] = 7", "kind and detail must be texts"),
    ("answer['detail'] = None", "kind and detail must be texts"),
    ("answer.update(passed=False, kind='passed')", '"passed" and "kind" contradict each other'),
]


@pytest.mark.parametrize(("action", "message"), BREAKS)
def test_a_broken_answer_is_asked_for_once_more_and_not_twice(tmp_path: Path, action: str, message: str) -> None:
    (tmp_path / "once").mkdir()
    (tmp_path / "twice").mkdir()
    once = Logged(tmp_path / "once", action, 1)
    assert once.judge() == Verdict(True, "passed")
    assert (len(once.pids), once.asked) == (2, ["asked 1 x", "asked 2 x"])
    twice = Logged(tmp_path / "twice", action, 1, 2)
    with pytest.raises(UserError, match=message):
        twice.judge()
    assert (len(twice.pids), twice.asked) == (2, ["asked 1 x", "asked 2 x"])
    assert living(twice.pids) == []
    # The run ends here; a caller that went on would get a verdict from a new process, forgiven once again.
    assert twice.judge().passed
    assert living(once.pids) == once.pids[-1:]
    for logged in (once, twice):
        logged.verifier.close()
        assert living(logged.pids) == []


def test_a_verifier_that_hangs_is_ended_and_asked_once_more(tmp_path: Path) -> None:
    logged = Logged(tmp_path, "time.sleep(60)", 1, 3, 4, timeout_s=1.0)
    begun = time.monotonic()
    assert logged.judge().passed
    assert 1.0 <= time.monotonic() - begun < 5
    assert living(logged.pids) == logged.pids[-1:]
    with pytest.raises(UserError, match="no answer within 1 s"):
        logged.judge()
    assert living(logged.pids) == []
    assert len(logged.asked) == 4


def test_a_verifier_may_take_its_time(tmp_path: Path) -> None:
    """The clock runs from one request, and what was killed for an earlier one is not killed again."""
    logged = Logged(tmp_path, "time.sleep(0.7)", 1, 2, 3, timeout_s=1.5)
    assert [logged.judge().passed for _ in range(3)] == [True] * 3
    assert len(logged.pids) == 1
    logged.verifier.close()


def test_a_kind_and_a_detail_may_be_left_out(tmp_path: Path) -> None:
    failed = Logged(tmp_path, "answer = {'id': 1, 'passed': False}", 1)
    assert failed.judge() == Verdict(False, "failed", "")
    failed.verifier.close()


def test_what_passed_is_of_the_kind_passed(tmp_path: Path) -> None:
    passed = Logged(tmp_path, "answer.update(kind='wrong', detail='d')", 1)
    assert passed.judge() == Verdict(True, "passed", "d")
    passed.verifier.close()


def test_a_command_that_can_not_be_started_has_no_words() -> None:
    with pytest.raises(UserError, match=r"can't be started: [^;]*, on query q1$"):
        CommandVerifier(["/nowhere/verify"], 1.0).judge(QUERY, "x", "stop")


# --- Several processes ---

# Does what the completion says: sleeps for so many seconds, ends, or ends once for all. Tells when it was at it.
TOLD = """
    import json, os, sys, time
    for line in sys.stdin:
        asked = json.loads(line)
        begun = time.monotonic()
        if asked["completion"] == "end":
            sys.exit(3)
        if asked["completion"] == "end once" and not os.path.exists({ended!r}):
            open({ended!r}, "w").close()
            sys.exit(3)
        if asked["completion"] != "end once":
            time.sleep(float(asked["completion"]))
        detail = json.dumps([os.getpid(), begun, time.monotonic(), asked["completion"]])
        print(json.dumps({{"id": asked["id"], "passed": True, "detail": detail}}), flush=True)
"""


class Judged(NamedTuple):
    """What the verifier's process tells of a verdict."""

    pid: int
    begun: float
    ended: float
    completion: str


def told(folder: Path, processes: int, timeout_s: float = 10.0) -> CommandVerifier:
    return command(folder, textwrap.dedent(TOLD).format(ended=str(folder / "ended")), timeout_s, processes)


def judge_all(verifier: CommandVerifier, *completions: str) -> list[Judged]:
    items: list[Item] = [(QUERY, completion, "stop") for completion in completions]
    return [Judged(*json.loads(verdict.detail)) for verdict in LoadedTask(Countdown(), verifier).judge_all(items)]


def most_at_once(verdicts: list[Judged]) -> int:
    """The number of verdicts that were worked on when the most were."""
    return max(sum(each.begun <= verdict.begun < each.ended for each in verdicts) for verdict in verdicts)


def test_as_many_verdicts_at_once_as_there_are_processes(tmp_path: Path) -> None:
    verifier = told(tmp_path, processes=8)
    verdicts = judge_all(verifier, *["0.25"] * 32)
    assert 4 <= most_at_once(verdicts) <= 8
    assert len({verdict.pid for verdict in verdicts}) <= 8
    assert most_at_once([verdict for verdict in verdicts if verdict.pid == verdicts[0].pid]) == 1
    verifier.close()
    assert living([verdict.pid for verdict in verdicts]) == []


def test_each_gets_the_verdict_on_its_own_completion(tmp_path: Path) -> None:
    verifier = told(tmp_path, processes=4)
    completions = [f"{(9 - n) / 50}" for n in range(10)]  # the later, the sooner judged
    verdicts = judge_all(verifier, *completions)
    assert [verdict.completion for verdict in verdicts] == completions
    assert len({verdict.pid for verdict in verdicts}) > 1
    verifier.close()


def test_no_process_is_started_while_another_is_idle(tmp_path: Path) -> None:
    verifier = told(tmp_path, processes=4)
    verdicts = [*judge_all(verifier, "0"), *judge_all(verifier, "0"), *judge_all(verifier, "0")]
    assert len({verdict.pid for verdict in verdicts}) == 1
    verifier.close()


def test_only_the_broken_process_is_replaced(tmp_path: Path) -> None:
    verifier = told(tmp_path, processes=3)
    first = {verdict.pid for verdict in judge_all(verifier, *["0.3"] * 3)}
    assert len(first) == 3
    second = {verdict.pid for verdict in judge_all(verifier, "end once", *["0.3"] * 2)}
    assert (len(second), len(first & second)) == (3, 2)
    assert set(living([*first])) == first & second
    with pytest.raises(UserError, match="it ended with status 3, on query q1"):
        judge_all(verifier, "end", *["0.3"] * 2)
    assert len(living([*second])) == 2
    third = {verdict.pid for verdict in judge_all(verifier, *["0.3"] * 3)}
    assert len(third & second) == 2
    verifier.close()
    assert living([*first, *second, *third]) == []


def test_the_wait_for_a_process_is_no_part_of_its_time(tmp_path: Path) -> None:
    verifier = told(tmp_path, processes=1, timeout_s=1.5)
    with ThreadPoolExecutor(6) as threads:
        verdicts = list(threads.map(lambda _: verifier.judge(QUERY, "0.4", "stop"), range(6)))
    assert len({json.loads(verdict.detail)[0] for verdict in verdicts}) == 1
    verifier.close()


def test_close_ends_a_process_after_its_verdict(tmp_path: Path) -> None:
    verifier = told(tmp_path, processes=2)
    judge_all(verifier, "0")
    with ThreadPoolExecutor(1) as threads:
        verdict = threads.submit(verifier.judge, QUERY, "0.8", "stop")
        time.sleep(0.3)
        verifier.close()
        assert verdict.done()
    assert living([json.loads(verdict.result().detail)[0]]) == []


def test_one_that_ends_after_each_answer_is_told_so(tmp_path: Path) -> None:
    verifier = command(
        tmp_path, textwrap.dedent(SOURCE).format(log=str(tmp_path / "log"), bad=(), action="pass") + "        break\n"
    )
    for number in range(3):
        assert verifier.judge(QUERY, f"c{number}", "stop").passed
    with pytest.raises(UserError, match=r"verify.py.* ends after each answer: it ended with status 0") as caught:
        verifier.judge(QUERY, "c3", "stop")
    assert "until its input ends" in (caught.value.cure or "")
    assert len((tmp_path / "log").read_text().splitlines()) == 6


def test_one_that_ends_after_every_second_answer_goes_on(tmp_path: Path) -> None:
    source = textwrap.dedent(SOURCE).format(log=str(tmp_path / "log"), bad=(), action="pass")
    source = source.replace("for line in sys.stdin", "for number, line in enumerate(sys.stdin)")
    verifier = command(tmp_path, source + "        if number == 1: break\n")
    assert all(verifier.judge(QUERY, "x", "stop").passed for _ in range(9))
    verifier.close()
