"""Two trainers that take turns, a step each. Whatever the machine's speed does, it does so for both.

A trainer holds still between two steps and asks the bench, over a socket, what to do: tell or take what a step is made
of, which costs its step nothing, or make the next step.
"""

import gc
import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from support.leash import Leashed

#: The variable that names the socket.
SOCKET = "RRR_BENCH_SOCKET"
_SETTLE_S = 0.05
_POLL_S = 0.5


class Step(NamedTuple):
    """What a step took: wall time of the trainer, CPU time of the program's processes, CPU time by part."""

    wall_s: float
    cpu_s: float
    parts: dict[str, float]


class Seat:
    """The bench's end: ``program`` holds a trainer, which calls once it is about to make its first step."""

    def __init__(self, program: Leashed, listener: socket.socket):
        self.program = program
        listener.settimeout(_POLL_S)
        while True:
            with suppress(TimeoutError):
                connection, _ = listener.accept()
                break
            if program.poll() is not None:
                raise program.failed()
        connection.settimeout(None)
        self._stream = connection.makefile("rw")

    def ask(self, what: str, **given: Any) -> dict[str, Any]:
        self._stream.write(json.dumps({"ask": what, **given}) + "\n")
        self._stream.flush()
        line = self._stream.readline()
        if not line:
            self.program.wait()
            raise self.program.failed()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def step(self) -> Step:
        before = self._cpu_s()
        answer = self.ask("step")
        time.sleep(_SETTLE_S)  # who is told of the step may still be at it
        cpu_s = self._cpu_s() - before
        parts = answer["parts"]
        return Step(answer["wall_s"], cpu_s, {**parts, "others": cpu_s - sum(parts.values())})

    def _cpu_s(self) -> float:
        spent = 0.0
        for process in self.program.processes():
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                spent += times.user + times.system
        return spent


class Turns:
    """A trainer's end. ``answers`` are what it does when asked, by name, apart from "step"."""

    def __init__(self, answers: Mapping[str, Callable[..., dict[str, Any]]]):
        self._answers = answers
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(os.environ[SOCKET])
        self._stream = connection.makefile("rw")
        self._begun: tuple[float, float] | None = None
        self._parts: dict[str, float] = {}

    def taken_by(self, trainer: Any) -> None:
        """``trainer`` is a ``GRPOTrainer`` with an engine. A step of it lasts from one ``on_step_begin`` to the next:
        everything is in it that is done once a step."""
        from transformers import TrainerCallback

        turns, engine = self, trainer.vllm_generation
        sync = engine.sync_weights

        class Between(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
            def on_step_begin(self, *_: Any, **__: Any) -> None:
                turns._take()

        def timed() -> None:
            with turns.part("sync"):
                sync()

        trainer.add_callback(Between())
        engine.sync_weights = timed

    def _take(self) -> None:
        """The step has ended, if there was one. Returns where the next one may begin."""
        ended, cpu_ended = time.perf_counter(), time.process_time()
        if self._begun is not None:
            begun, cpu_begun = self._begun
            rest = cpu_ended - cpu_begun - sum(self._parts.values())
            self._say({"wall_s": ended - begun, "parts": {**self._parts, "rest": rest}})
        for line in self._stream:
            request = json.loads(line)
            what = request.pop("ask")
            if what == "step":
                self._parts = {}
                self._begun = time.perf_counter(), time.process_time()
                return
            answer = self._answers[what](**request)
            gc.collect()  # the bench's garbage is not for a step to take away
            self._say(answer)
        os._exit(1)  # the bench is gone

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """A context that is a part of the step: its CPU time is told with it."""
        begun = time.process_time()
        yield
        self._parts[name] = self._parts.get(name, 0.0) + time.process_time() - begun

    def _say(self, answer: dict[str, Any]) -> None:
        self._stream.write(json.dumps(answer) + "\n")
        self._stream.flush()


def listen(path: Path) -> socket.socket:
    """Where the trainers call that are started with ``path`` as :data:`SOCKET`."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    return listener


def requests(params: Any, outputs: Any) -> list[dict[str, Any]]:
    """What an ``LLM.generate`` did, as JSON takes it."""
    return [
        {
            "prompt": list(output.prompt_token_ids),
            "cached": output.num_cached_tokens,
            "seed": each.seed,
            "completion": list(output.outputs[0].token_ids),
        }
        for each, output in zip(params, outputs, strict=True)
    ]
