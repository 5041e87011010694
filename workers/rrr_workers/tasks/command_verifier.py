"""A verifier in any language: long-lived processes that answer JSON lines.

    to it:    {"id": 1, "query": {...}, "completion": "...", "finish_reason": "stop" or "length"}
    from it:  {"id": 1, "passed": false, "kind": "wrong_sum", "detail": "3 instead of 4"}      (kind, detail: optional)

A verdict is only what such a line says. A process that exits, takes longer than ``timeout_s`` or prints anything
else is broken: another takes its place and is asked once more, then :class:`~rrr_workers.errors.UserError` ends the
run. Its stderr goes to this worker's, and the last lines into the error.
"""

import json
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, cast

from rrr_workers.errors import UserError
from rrr_workers.tasks.base import FinishReason, Query, Verdict, Verifier
from rrr_workers.text import clip

_STDERR_LINES = 10
_MOST_SHOWN = 200
_MOST_OUTPUT = 16 * 2**20  # characters for one verdict
_MOST_LINE = 2**20
_SINGLE_ANSWERS = 3
_STOP_S = 5.0
_SCRIPTS = (".py", ".mjs", ".js", ".cjs", ".ts", ".sh", ".rb", ".pl", ".php", ".lua", ".jar", ".R")


def check_command(command: Sequence[str]) -> None:
    """Raise :class:`UserError` where the program, or a script that it is to run, is not there."""
    program, *arguments = command
    if shutil.which(program) is None:
        said = "is no program that this user may run" if Path(program).exists() else "is not there"
        raise UserError(f"task.verifier.command: {program} {said}", cure="correct the name, install it, or chmod +x it")
    for argument in arguments:
        if argument.startswith("/") and Path(argument).suffix in _SCRIPTS and not Path(argument).exists():
            cure = "correct the path: one that starts with ./ or ../ is relative to the config file"
            raise UserError(f"task.verifier.command: there is no file {argument}", cure=cure)


class Broken(Exception):
    """The verifier gave no verdict; the message says what it did instead."""


class Ended(Broken):
    """Its process is gone."""


class CommandVerifier(Verifier):
    """Judges with up to ``processes`` processes, each one completion at a time; where all are busy, a call waits.

    They are started when they are needed: calls that come one after the other are all answered by the same one.
    """

    error_kinds = None
    waits = True

    def __init__(self, command: Sequence[str], timeout_s: float, processes: int = 1):
        self.parallel = processes
        # The last that came free is the first to be taken: one with a process comes before one that must start it.
        self._idle: queue.LifoQueue[_Seat] = queue.LifoQueue()
        for _ in range(processes):
            self._idle.put(_Seat(list(command), timeout_s))
        self._closing = threading.Lock()

    def judge(self, query: Query, completion: str, finish_reason: FinishReason) -> Verdict:
        """A process's verdict. Raises :class:`UserError` where it and the one that replaced it are broken."""
        seat = self._idle.get()
        try:
            return seat.judge(query, completion, finish_reason)
        finally:
            self._idle.put(seat)

    def close(self) -> None:
        """End all processes, each after the verdict that it is at; the next verdict starts another."""
        with self._closing:  # two that hold some of the seats each would wait for ever
            seats = [self._idle.get() for _ in range(self.parallel)]
            for seat in seats:
                seat.close()
                self._idle.put(seat)


class _Seat:
    """The place of one process. It is empty until there is something to judge, and after its process broke twice."""

    def __init__(self, command: list[str], timeout_s: float):
        self._command = command
        self._timeout_s = timeout_s
        self._process: _Process | None = None
        self._requests = 0
        self._ended_in_a_row = 0  # processes that gave one answer each, and no second

    def judge(self, query: Query, completion: str, finish_reason: FinishReason) -> Verdict:
        request = {"query": query.fields, "completion": completion, "finish_reason": finish_reason}
        try:
            return self._ask(request)
        except Broken as error:
            self._count_single_answers(error)
            self.close()
        try:
            return self._ask(request)
        except Broken as error:
            stderr = self._process.last_words() if self._process else ""
            self.close()
            raise UserError(
                f"the verifier {json.dumps(self._command)} is broken: {error}, on query {query.id}{stderr}",
                cure="try it on some rows: rrr task check; one line of JSON must answer every line of its input",
            ) from None

    def _count_single_answers(self, error: Broken) -> None:
        single = isinstance(error, Ended) and self._process is not None and self._process.answers == 1
        self._ended_in_a_row = self._ended_in_a_row + 1 if single else 0
        if self._ended_in_a_row == _SINGLE_ANSWERS:
            self.close()
            raise UserError(
                f"the verifier {json.dumps(self._command)} ends after each answer: {error}",
                cure="let it stay, and answer one line after the other until its input ends",
            ) from None

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def _ask(self, request: dict[str, Any]) -> Verdict:
        self._requests += 1
        if self._process is None:
            self._process = _Process(self._command)
        line = self._process.exchange(json.dumps({"id": self._requests, **request}), self._timeout_s)
        verdict = _read_verdict(line, self._requests)
        self._process.answers += 1
        return verdict


class _Process:
    """The child with a thread on each of its outputs, so that a wait for a line can end in time."""

    def __init__(self, command: list[str]):
        try:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
            )
        except OSError as error:
            raise Broken(f"it can't be started: {error.strerror}") from None
        self.answers = 0
        self._printed = 0  # since the last request
        self._flooded = False
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._errors: deque[str] = deque(maxlen=_STDERR_LINES)
        self._stdin = cast(IO[str], self._child.stdin)
        self._readers = [
            threading.Thread(target=self._read_lines, args=(self._child.stdout,), daemon=True),
            threading.Thread(target=self._read_errors, args=(self._child.stderr,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def exchange(self, line: str, timeout_s: float) -> str:
        """The next line of the child after it got ``line``. Raises :class:`Broken`."""
        if not self._lines.empty() and (left_over := self._lines.get()) is not None:
            raise Broken(f"it printed a line nobody asked for: {_shown(left_over)}")
        # A child that doesn't read blocks the write of a long line; killing it frees it.
        started = time.monotonic()
        late = Broken(
            f"it gave no answer within {timeout_s:g} s (task.verifier.timeout_s); "
            "does it flush its output after each line?"
        )
        self._printed = 0
        deadline = threading.Timer(timeout_s, self._child.kill)
        deadline.start()
        try:
            self._stdin.write(line + "\n")
            self._stdin.flush()
        except OSError:  # it ended, or was ended
            if time.monotonic() - started >= timeout_s:
                raise late from None
            return self._ended()
        finally:
            deadline.cancel()
        try:
            answer = self._lines.get(timeout=timeout_s)
        except queue.Empty:
            raise late from None
        return self._ended() if answer is None else answer

    def last_words(self) -> str:
        """The last lines of stderr as the end of a message."""
        self._readers[1].join(timeout=0.5)
        return "; its last words:\n  " + "\n  ".join(self._errors) if self._errors else ""

    def stop(self) -> None:
        self._child.kill()
        self._child.wait(timeout=_STOP_S)

    def _ended(self) -> str:
        try:
            status = self._child.wait(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            raise Broken("it closed its output") from None
        if self._flooded:
            raise Broken(f"it printed more than {_MOST_OUTPUT // 2**20} MiB without an answer, and was stopped")
        raise Ended(f"it ended with status {status}")

    def _read_lines(self, stream: IO[str]) -> None:
        for line in self._bounded(stream):
            self._lines.put(line)
        self._lines.put(None)

    def _read_errors(self, stream: IO[str]) -> None:
        for line in self._bounded(stream):
            self._errors.append(_shown(line))
            sys.stderr.write(line)

    def _bounded(self, stream: IO[str]) -> Iterator[str]:
        """The lines of a stream, those that are too long in pieces. A child that prints without end is killed."""
        while self._printed <= _MOST_OUTPUT and (line := stream.readline(_MOST_LINE)):
            self._printed += len(line)
            yield line
        if self._printed > _MOST_OUTPUT:
            self._flooded = True
            self._child.kill()


def _read_verdict(line: str, request: int) -> Verdict:
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        raise Broken(f"it printed no JSON but {_shown(line)}") from None
    if not isinstance(answer, dict) or answer.get("id") != request or not isinstance(answer.get("passed"), bool):
        raise Broken(f'its answer needs "id": {request} and "passed": true or false, it is {_shown(line)}')
    passed: bool = answer["passed"]
    kind, detail = answer.get("kind", "failed"), answer.get("detail", "")
    if not isinstance(kind, str) or not isinstance(detail, str):
        raise Broken(f"kind and detail must be texts, the answer is {_shown(line)}")
    if not passed and kind == "passed":
        raise Broken(f'"passed" and "kind" contradict each other: {_shown(line)}')
    return Verdict(passed, "passed" if passed else kind, detail)


def _shown(line: str) -> str:
    return clip(line.rstrip("\n"), _MOST_SHOWN)
