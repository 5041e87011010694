"""A real stage of rrr, started as users start it."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support.leash import Leashed

ROOT = Path(__file__).resolve().parents[3]

#: Environment by the cores of the engine, where a CPU computes. own: it computes on one core, bound to it, as vLLM
#: advises; the tiny model's forward pass needs no more. What else runs (the command line and the worker, or raw vLLM's
#: front end) isn't kept off that core, but has the other ones. shared: the scheduler decides, rrr's default.
CORES = {
    "own": {"VLLM_CPU_OMP_THREADS_BIND": str(min(os.sched_getaffinity(0)))},
    "shared": {"VLLM_CPU_OMP_THREADS_BIND": "nobind"},
}


def start(
    config: Path,
    run: Path,
    settings: Mapping[str, Any],
    cores: str = "own",
    stage: str = "build-failures",
    **env: str,
) -> Leashed:
    """What it prints goes to RUN.out. ``env``: further variables of its environment."""
    command = [str(ROOT / "dist" / "main.js"), stage, "-c", str(config), "--run", str(run)]
    flags = [part for key, value in settings.items() for part in ("--set", f"{key}={json.dumps(value)}")]
    return Leashed([*command, *flags], Path(f"{run}.out"), {**environment(cores), **env})


def environment(cores: str) -> dict[str, str]:
    """Of a program whose engine has such cores."""
    return {"OMP_WAIT_POLICY": "PASSIVE", **os.environ, **CORES[cores]}


def check_done(rrr: Leashed) -> None:
    """Raises SystemExit with what an ended run printed, unless it did its work."""
    if rrr.poll() != 0:
        raise rrr.failed()


def progress(line: str) -> None:
    """One line for who waits."""
    print(f"[load {os.getloadavg()[0]:.1f}] {line}", flush=True)
