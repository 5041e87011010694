"""Two programs that take turns on one machine: where its speed changes, it changes for both."""

import signal
import subprocess
import time
from itertools import cycle

import psutil

_TURN_S = 1.0
#: Begin and end, seconds since the epoch.
Turn = tuple[float, float]


def take_turns(*processes: subprocess.Popen[bytes]) -> list[list[Turn]]:
    """Until one of them ends; then all go on. Each is stopped, with the processes it started, while another runs.

    Returns the turns of each.
    """
    turns: list[list[Turn]] = [[] for _ in processes]
    for process in processes:
        _signal(process, signal.SIGSTOP)
    try:
        for process, its_turns in cycle(zip(processes, turns, strict=True)):
            begin = time.time()
            _signal(process, signal.SIGCONT)
            try:
                process.wait(_TURN_S)
            except subprocess.TimeoutExpired:
                _signal(process, signal.SIGSTOP)
            its_turns.append((begin, time.time()))
            if process.returncode is not None:
                return turns
    finally:
        for process in processes:
            _signal(process, signal.SIGCONT)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if process.poll() is not None:
        return
    leader = psutil.Process(process.pid)
    for member in (leader, *leader.children(recursive=True)):
        try:
            member.send_signal(number)
        except psutil.NoSuchProcess:
            continue
