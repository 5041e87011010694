"""Programs that take turns on one machine: where its speed changes, it changes for all of them."""

import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle

import psutil

from support.leash import Leashed

_TURN_S = 1.0
#: Begin and end, seconds since the epoch.
Turn = tuple[float, float]


def take_turns(*programs: Leashed) -> Iterator[tuple[int, Turn]]:
    """(number of the program, its turn), without an end: a turn that its program doesn't live through is shorter.

    Between two turns all programs are stopped, each with the processes it started. So they are at the end.
    """
    for program in programs:
        stop(program)
    for number, program in cycle(enumerate(programs)):
        processes = program.processes()
        begin = time.time()
        _signal(processes, signal.SIGCONT)
        program.wait(_TURN_S)
        _signal(processes, signal.SIGSTOP)
        turn = (begin, time.time())
        stop(program)  # also what it started meanwhile
        yield number, turn


def stop(program: Leashed) -> None:
    """Until its next turn."""
    _signal(program.processes(), signal.SIGSTOP)


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
