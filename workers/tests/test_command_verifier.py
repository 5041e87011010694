"""When a verifier that is a command is asked again, when it ends the run, and what of its processes is left."""

import textwrap
import time
from pathlib import Path

import psutil
import pytest

from rrr_workers.errors import UserError
from rrr_workers.tasks.base import Query, Verdict
from rrr_workers.tasks.command_verifier import CommandVerifier
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

    def __init__(self, folder: Path, action: str, *bad: int, timeout_s: float = 10.0):
        self._log = folder / "log"
        source = textwrap.dedent(SOURCE).format(log=str(self._log), bad=bad, action=action)
        self.verifier = command(folder, source, timeout_s)

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
