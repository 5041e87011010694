"""Ends that the parent can't bring about: its processes watch each other. The rest is in test_protocol.py."""

import subprocess
import sys
from pathlib import Path

import pytest

PARENT = """
import multiprocessing, os, sys, time
from rrr_workers.runtime.guardian import die_with_parent

def run():
    print(os.getpid(), flush=True)
    time.sleep(60)

if __name__ == "__mp_main__":
    die_with_parent()
if __name__ == "__main__":
    os.register_at_fork(after_in_child=die_with_parent)
    multiprocessing.get_context(sys.argv[1]).Process(target=run).start()
    time.sleep(60)
"""


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_a_process_of_a_killed_worker_ends_by_itself(method: str, tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen([sys.executable, script, method], stdout=subprocess.PIPE, start_new_session=True)
    assert parent.stdout
    parent.stdout.readline()  # the child runs
    parent.kill()
    parent.communicate(timeout=5)  # until the last one that could write is gone
