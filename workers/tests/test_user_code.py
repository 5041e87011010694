"""The boundary between a user's code and rrr's: whose fault what it raises is."""

import importlib.util
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from rrr_workers.errors import BugError, CallFailed, UserError
from rrr_workers.tasks.base import BadRow, Task, UnjudgedTask
from rrr_workers.tasks.countdown.task import Countdown
from rrr_workers.tasks.loaded import TaskError, user_code

USERS = """
    from rrr_workers.tasks.base import Task
    from rrr_workers.tasks.countdown.task import Countdown

    class Own(Task):
        def judge(self, query, completion, finish_reason):
            return 1 / 0

        def calls(self, code):
            code()

        def calls_judge(self):
            return Own.judge(None, None, "", "stop")

    class Heir(Countdown):
        def judge(self, query, completion, finish_reason):
            return super().judge(query, completion, finish_reason)
"""


@pytest.fixture
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A user's module."""
    path = tmp_path / "theirs.py"
    path.write_text(textwrap.dedent(USERS), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("theirs", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "theirs", module)
    spec.loader.exec_module(module)
    return module


def fail() -> None:
    raise ZeroDivisionError("elsewhere")


def test_what_a_line_of_the_user_s_raises_is_the_user_s(users: Any) -> None:
    with (
        pytest.raises(TaskError, match=r"^judge raised ZeroDivisionError: division by zero, at .*theirs.py:7$") as told,
        user_code(users.Own, "judge"),
    ):
        users.Own.judge(None, None, "", "stop")
    assert "rrr task check" in (told.value.cure or "")
    assert isinstance(told.value.__cause__, ZeroDivisionError)


def test_so_is_what_it_calls_and_the_last_line_of_the_user_s_is_named(users: Any) -> None:
    with (
        pytest.raises(TaskError, match=r"^calls raised ZeroDivisionError: elsewhere, at .*theirs.py:10, in row 3$"),
        user_code(users.Own, "judge", where="row 3"),
    ):
        users.Own.calls(None, fail)
    with pytest.raises(TaskError, match=r"^judge raised .*, at .*theirs.py:7$"), user_code(users.Own, "calls_judge"):
        users.Own.calls_judge(None)


def test_so_is_what_is_raised_in_a_method_that_the_user_defines(users: Any) -> None:
    for owner in (users.Own, users.Heir):
        with pytest.raises(TaskError, match=r"^judge raised ZeroDivisionError: elsewhere$"), user_code(owner, "judge"):
            fail()


def test_so_is_what_a_default_makes_of_the_user_s_class(users: Any) -> None:
    with pytest.raises(TaskError, match="prompt_fields raised"), user_code(users.Own, "prompt_fields"):
        fail()


def test_what_rrr_s_own_code_raises_is_a_bug(users: Any) -> None:
    with pytest.raises(ZeroDivisionError), user_code(Countdown, "judge"):
        fail()
    # A method that the user's class takes over from one of rrr's tasks is rrr's.
    with pytest.raises(ZeroDivisionError), user_code(users.Heir, "prompt_fields"):
        fail()
    for base in (Task, UnjudgedTask):
        with pytest.raises(ZeroDivisionError), user_code(base, "prompt_fields"):
            fail()


@pytest.mark.parametrize("error", [UserError("x"), BugError("x"), CallFailed("x", retryable=True), KeyboardInterrupt()])
def test_errors_that_say_themselves_whose_they_are_go_on_as_they_are(users: Any, error: BaseException) -> None:
    def throw() -> None:
        raise error

    with pytest.raises(type(error)) as caught, user_code(users.Own, "judge"):
        users.Own.calls(None, throw)
    assert caught.value is error


def test_sys_exit_in_a_task_ends_no_worker_without_a_word(users: Any) -> None:
    with (
        pytest.raises(TaskError, match=r"^calls raised SystemExit: 3, at .*theirs.py:10$"),
        user_code(users.Own, "judge"),
    ):
        users.Own.calls(None, lambda: sys.exit(3))


def test_a_bad_row_passes_where_it_is_an_answer_alone(users: Any) -> None:
    def throw() -> None:
        raise BadRow("no")

    with pytest.raises(BadRow), user_code(users.Own, "normalise", passes=(BadRow,)):
        users.Own.calls(None, throw)
    with pytest.raises(TaskError, match="calls raised BadRow: no"), user_code(users.Own, "judge"):
        users.Own.calls(None, throw)


def test_a_call_that_raises_nothing_is_left_alone(users: Any) -> None:
    with user_code(users.Own, "judge"):
        pass
