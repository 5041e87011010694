"""A task with its verifier, and the boundary that tells the code of a user's own task from rrr's."""

import asyncio
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from inspect import getfile
from types import TracebackType
from typing import Any

from rrr_workers.errors import RrrError, UserError
from rrr_workers.tasks.base import BadRow, FinishReason, Query, Task, UnjudgedTask, Verdict, Verifier, message

Item = tuple[Query, str, FinishReason]


ID_CURE = "make the id a hash of the fields: content_hash of rrr_workers.api"


class TaskError(UserError):
    """What the code of a user's own task raised."""


@dataclass(frozen=True, slots=True)
class LoadedTask:
    """``verifier`` is the task itself, unless the config names a program that judges in its place."""

    task: UnjudgedTask
    verifier: Verifier
    #: What a verifier that waits judges in, as many threads as it judges at once; each starts when it is needed.
    _threads: ThreadPoolExecutor | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        threads = None
        if self.verifier.waits:
            parallel = self.verifier.parallel
            if not isinstance(parallel, int) or parallel < 1:
                said = f"parallel of {type(self.verifier).__name__} is {parallel!r}"
                raise TaskError(said, cure="set it to the number of verdicts that it gives at once, 1 or more")
            threads = ThreadPoolExecutor(parallel, thread_name_prefix="verifier")
        object.__setattr__(self, "_threads", threads)

    def normalise(self, row: Mapping[str, Any], where: str) -> Query:
        """The task's query for the row that is at ``where``. Raises :class:`BadRow`."""
        with user_code(type(self.task), "normalise", where=where, passes=(BadRow,)):
            query = self.task.normalise(row)
        if not isinstance(query, Query):
            raise TaskError(f"normalise gave {query!r}, in {where}", cure="return a Query, or raise BadRow")
        if not isinstance(query.id, str):
            raise TaskError(f"normalise gave the id {query.id!r}, which is no text, in {where}", cure=ID_CURE)
        if not isinstance(query.fields, dict):
            raise TaskError(f"normalise gave the fields {query.fields!r}, in {where}", cure="make fields a dict")
        return query

    def judge(self, query: Query, completion: str, finish_reason: FinishReason) -> Verdict:
        """The verdict. What the verifier raises goes on: it is an error, never a verdict."""
        with user_code(type(self.verifier), "judge"):
            verdict = self.verifier.judge(query, completion, finish_reason)
        # What all verdicts are, at a glance: most of a verifier's time would go into more.
        if (
            type(verdict) is not Verdict
            or verdict.passed is not (verdict.kind == "passed")
            or type(verdict.detail) is not str
            or type(verdict.kind) is not str
        ):
            check_verdict(verdict, f"on query {query.id}")
        return verdict

    async def judge_async(self, query: Query, completion: str, finish_reason: FinishReason) -> Verdict:
        """:meth:`judge` for an event loop, which goes on while the verifier waits."""
        if self._threads is None:
            return self.judge(query, completion, finish_reason)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self.judge, query, completion, finish_reason)

    def judge_all(self, items: Sequence[Item]) -> list[Verdict]:
        """The verdict on each of ``items``, in their order; a verifier that waits judges several at once.

        Raises what :meth:`judge` raises, for the first of the items that it raises for. Those after it that haven't
        been begun are not judged any more, and those that have been are waited for.
        """
        if self._threads is None:
            return [self.judge(*item) for item in items]
        asked = [self._threads.submit(self.judge, *item) for item in items]
        done, _ = wait(asked, return_when=FIRST_EXCEPTION)
        first = next((index for index, each in enumerate(asked) if each in done and each.exception()), len(asked))
        for later in asked[first + 1 :]:
            later.cancel()
        wait(asked)  # also for those before it: they may raise, too
        return [each.result() for each in asked]

    def tools(self, query: Query) -> list[dict[str, Any]] | None:
        """The query's tools for the chat template."""
        with user_code(type(self.task), "tools"):
            return self.task.tools(query)

    def use_tokenizer(self, tokenizer: Any) -> None:
        """Tell the task the model's tokenizer."""
        prompt = tokenizer.apply_chat_template([message("user", "")], add_generation_prompt=True, tokenize=False)
        self.task.reasoning_opened = prompt.rstrip().endswith("<think>")
        with user_code(type(self.task), "use_tokenizer"):
            self.task.use_tokenizer(tokenizer)

    def run_notes(self) -> list[str]:
        """What a run should tell of the task."""
        with user_code(type(self.task), "run_notes"):
            return [str(note) for note in self.task.run_notes()]


def check_verdict(verdict: Any, where: str) -> None:
    """Raise :class:`TaskError` where ``verdict``, which ``judge`` gave, is none."""
    if not isinstance(verdict, Verdict):
        raise TaskError(f"judge gave {verdict!r} {where}", cure="return a Verdict from every branch of judge")
    if not isinstance(verdict.passed, bool):
        kind = type(verdict.passed)
        said = f"judge gave passed={verdict.passed!r}, of the type {kind.__module__}.{kind.__qualname__}, {where}"
        raise TaskError(said, cure="make it True or False, such as bool(...) of what numpy gives")
    if not (isinstance(verdict.kind, str) and isinstance(verdict.detail, str)):
        raise TaskError(f"judge gave {verdict!r} {where}", cure="kind and detail must be texts")
    if verdict.passed is not (verdict.kind == "passed"):
        said = f"judge gave passed={verdict.passed} with the kind {verdict.kind!r} {where}"
        raise TaskError(said, cure='give passed verdicts the kind "passed", and no others')


class user_code(AbstractContextManager[None]):
    """Around a call of ``method`` of the class ``owner``: what a user's code raises becomes a :class:`TaskError`.

    It is the user's where a class of the user's defines the method or stands in the traceback; what rrr's own tasks
    raise goes on as it is, a bug. So do rrr's errors and those that ``passes`` names. ``where``: the row, if known.
    """

    __slots__ = ("_method", "_owner", "_passes", "_where")  # every draw makes several of these

    def __init__(self, owner: type, method: str, *, where: str = "", passes: tuple[type[Exception], ...] = ()):
        self._owner = owner
        self._method = method
        self._where = where
        self._passes = passes

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # SystemExit: sys.exit in a task would end the worker without a word.
        if not isinstance(error, Exception | SystemExit) or isinstance(error, (RrrError, *self._passes)):
            return
        files = {getfile(each) for each in self._owner.__mro__ if _is_users(each)}
        frames = [frame for frame in traceback.extract_tb(trace) if frame.filename in files]
        if not frames and not (files and _defined_by_user(self._owner, self._method)):
            return
        traceback.print_exception(error)
        said = raised(frames[-1].name if frames else self._method, error, frames)
        cure = "correct it; rrr task check tries a task on its rows"
        raise TaskError(f"{said}, in {self._where}" if self._where else said, cure=cure) from error


def raised(what: str, error: BaseException, frames: Sequence[traceback.FrameSummary]) -> str:
    """The sentence for what ``what`` raised, with file and line of the last of ``frames``."""
    at = f", at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"{what} raised {type(error).__name__}: {error}{at}"


def _is_users(each: type) -> bool:
    return issubclass(each, UnjudgedTask) and not each.__module__.startswith("rrr_workers.")


def _defined_by_user(owner: type, method: str) -> bool:
    """Also where the default of the base class calls for more than the user's class gives."""
    definer = next(each for each in owner.__mro__ if method in vars(each))
    return _is_users(definer) or definer in (Task, UnjudgedTask, Verifier)
