"""What the orchestrator bears: a real `rrr build-failures` whose workers answer at once.

npm run --silent bench -- orchestrator [--workers 64] [--rows 1000000]
last line: {"results_per_second", "rss_mib", ...}

Pool, protocol, journal and the files at the end are the real ones; each worker is a process of its own, with
support/instant_worker.py instead of the sampler. Results a second are those of the journal from the first to the
last one. `rss_mib` is the orchestrator's peak over its whole life, `rss_mib_at` what it held as the rows went by. The
workers share the machine's cores with the orchestrator: `cpu_us_per_result` tells what each of the two took meanwhile.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from support.leash import Leashed
from support.rrr_run import check_done, progress, start

_POLL_S = 0.1
_SHARES = (25, 50, 75, 100)
_TICKS = os.sysconf("SC_CLK_TCK")


def write_config(folder: Path, workers: int, rows: int) -> Path:
    """A config whose Python is the instant worker."""
    python = folder / "instant-worker"
    worker = Path(__file__).with_name("support") / "instant_worker.py"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -E "{worker}" "$@"\n')
    python.chmod(0o755)
    config = folder / "config.yaml"
    written = {
        "python": str(python),
        "model": {"name": "instant"},
        "data": {"source": "generator", "rows": rows},
        "workers": {"count": workers},
    }
    config.write_text(json.dumps(written))  # JSON is YAML
    return config


class Watch:
    """What /proc says of the orchestrator while it runs."""

    def __init__(self, rrr: Leashed, run: Path, rows: int):
        self._proc = Path("/proc", str(rrr.pid()))
        self._run, self._rows = run, rows
        self.first: float | None = None
        self.rss_mib_at: dict[str, int] = {}
        self.peak_mib = 0
        #: CPU time of its whole life, and of the part between the first and the last result.
        self.cpu_s = self.sampling_cpu_s = 0.0
        while rrr.poll() is None:
            self._look()
            time.sleep(_POLL_S)

    def _look(self) -> None:
        try:
            status = dict(line.split(":\t", 1) for line in (self._proc / "status").read_text().splitlines())
            stat = (self._proc / "stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            return
        if "VmRSS" not in status:  # it has just ended
            return
        self.peak_mib = int(status["VmHWM"].split()[0]) // 1024
        self.cpu_s = (int(stat[11]) + int(stat[12])) / _TICKS
        journal = self._run / "failures" / "journal.jsonl"
        if self.first is None and journal.exists() and journal.stat().st_size > 0:
            self.first = time.time()
            self._cpu_before_s = self.cpu_s
        done = 100 * self._done() / self._rows
        if self.first is not None and "100" not in self.rss_mib_at:
            self.sampling_cpu_s = self.cpu_s - self._cpu_before_s
        for share in _SHARES:
            if done >= share and str(share) not in self.rss_mib_at:
                self.rss_mib_at[str(share)] = int(status["VmRSS"].split()[0]) // 1024
                progress(f"{share} %: {self.rss_mib_at[str(share)]} MiB")

    def _done(self) -> int:
        try:
            status = json.loads((self._run / "status.json").read_text())
        except FileNotFoundError:
            return 0
        return int(status["done"]) if status["phase"] == "sampling" else 0


def measure(config: Path, run: Path, rows: int) -> dict[str, Any]:
    before = os.times()
    with start(config, run, {}) as rrr:
        watch = Watch(rrr, run, rows)
        check_done(rrr)
    after = os.times()
    if watch.first is None:
        raise SystemExit(f"{run}: the run ended before its first result was seen; use more --rows")
    seconds = (run / "failures" / "journal.jsonl").stat().st_mtime - watch.first
    all_cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return {
        "results_per_second": round(rows / seconds),
        "rss_mib": watch.peak_mib,
        "rss_mib_at": watch.rss_mib_at,
        "cpu_us_per_result": {
            "orchestrator": round(1e6 * watch.sampling_cpu_s / rows, 1),
            "workers": round(1e6 * (all_cpu_s - watch.cpu_s) / rows, 1),
        },
        "rows": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rrr-bench-") as folder:
        config = write_config(Path(folder), options.workers, options.rows)
        print(json.dumps(measure(config, Path(folder, "run"), options.rows)))


if __name__ == "__main__":
    main()
