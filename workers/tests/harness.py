"""What several tests need: a resolved config, and a worker process to exchange frames with as the command line does."""

import json
import os
import select
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

import rrr_workers
from rrr_workers.runtime.frames import PROTOCOL_VERSION
from rrr_workers.runtime.guardian import launch

TESTS = Path(__file__).parent
SCHEMA = TESTS.parent / "config.schema.json"
# A worker must run the package that the tests import, not one that happens to be installed.
PACKAGE = Path(rrr_workers.__file__).parents[1]

# What has no default, and what makes tests quick.
_TEST_VALUES: dict[str, Any] = {
    "model": {"name": "/nowhere", "max_model_len": 256},
    "data": {"source": "generator", "rows": 100, "test_fraction": 0.2, "train_fraction": 0.8},
    "sampling": {"max_answer_tokens": 16, "max_reflection_tokens": 16},
    "engine": {"cpu_kv_cache_gib": 0.25, "enforce_eager": True},
    "workers": {"max_in_flight": 64, "ready_timeout_s": 300, "call_timeout_s": 300},
    "train": {"steps": 2, "batch_size": 8, "micro_batch_size": 8, "num_generations": 4, "learning_rate": 1e-4},
}


def _defaults(schema: dict[str, Any]) -> dict[str, Any]:
    """What the command line fills in: the schema's defaults, and an empty object for each that must be there."""
    found: dict[str, Any] = {}
    for name, inner in schema.get("properties", {}).items():
        if "default" in inner:
            found[name] = inner["default"]
        elif name in schema.get("required", ()) and inner["type"] == "object":
            found[name] = _defaults(inner)
    return found


def resolved_config(**sections: Any) -> dict[str, Any]:
    """The tests' config with ``sections`` merged in: ``resolved_config(seed=3, data={"rows": 7})``."""
    merged = _defaults(json.loads(SCHEMA.read_text(encoding="utf-8")))
    for changes in (_TEST_VALUES, sections):
        for name, value in changes.items():
            merged[name] = {**merged[name], **value} if isinstance(value, dict) else value
    return merged


class WorkerProcess:
    """A role under its guardian, in a process group of its own; use as a context manager."""

    def __init__(self, module: str, log: Path, env: Mapping[str, str] | None = None, ranks: int = 1):
        self.log = log
        self._lifeline: int | None
        environment = {**os.environ, **(env or {}), "PYTHONPATH": f"{PACKAGE}{os.pathsep}{TESTS}"}
        with log.open("wb") as stderr:
            self.process, self._lifeline = launch(module, stderr, environment, ranks)
        self._unread = b""

    def __enter__(self) -> "WorkerProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill_group()
        self.close_pipes()
        self.process.wait(10)

    def send(self, frame: Mapping[str, Any]) -> None:
        self.send_raw(json.dumps(frame).encode() + b"\n")

    def send_raw(self, data: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def start(self, config: Mapping[str, Any], options: Mapping[str, Any] | None = None) -> None:
        self.send({"type": "start", "protocol": PROTOCOL_VERSION, "config": config, "options": options or {}})

    def call(self, call_id: int, method: str, params: Mapping[str, Any]) -> None:
        self.send({"type": "call", "id": call_id, "method": method, "params": params})

    def read(self, timeout_s: float = 20.0) -> dict[str, Any] | None:
        """The next frame, None at the end of the stream. Every line must be a frame."""
        assert self.process.stdout
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._unread:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise TimeoutError(f"no frame within {timeout_s} s; log:\n{self.log.read_text()[-4000:]}")
            chunk = os.read(self.process.stdout.fileno(), 1 << 20)
            if not chunk:
                assert not self._unread, f"a torn last line: {self._unread!r}"
                return None
            self._unread += chunk
        line, self._unread = self._unread.split(b"\n", 1)
        frame: dict[str, Any] = json.loads(line)
        return frame

    def read_until(self, kind: str, timeout_s: float = 20.0) -> dict[str, Any]:
        """The next frame of type ``kind``; errors on the way fail the test."""
        while frame := self.read(timeout_s):
            if frame["type"] == kind:
                return frame
            assert frame["type"] not in ("error", "fatal"), frame
        raise AssertionError(f"the stream ended without {kind!r}; log:\n{self.log.read_text()[-4000:]}")

    def group(self) -> list[int]:
        """The processes of the group that still live."""
        return [process.pid for process in psutil.process_iter() if _lives_in(process, self.process.pid)]

    def wait_until_gone(self, timeout_s: float) -> float:
        """Seconds until no process of the group is left."""
        begun = time.monotonic()
        while self.group():
            assert time.monotonic() - begun < timeout_s, [command_of(pid) for pid in self.group()]
            self.process.poll()
            time.sleep(0.05)
        return time.monotonic() - begun

    def kill_group(self) -> None:
        for pid in self.group():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def close_stdin(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()

    def close_pipes(self) -> None:
        """What the kernel does when the parent dies."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe and not pipe.closed:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None


def _lives_in(process: psutil.Process, group: int) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and os.getpgid(process.pid) == group
    except (psutil.NoSuchProcess, ProcessLookupError):
        return False


def command_of(pid: int) -> str:
    """The command line of a process, "gone" where there is none."""
    try:
        return " ".join(psutil.Process(pid).cmdline())
    except psutil.NoSuchProcess:
        return "gone"


class DiskLog:
    """The syncs and renames of this process, in their order; each is also carried out."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.events: list[str] = []
        fsync, rename, replace = os.fsync, os.rename, os.replace

        def log_sync(descriptor: int) -> None:
            self.events.append(f"sync {os.readlink(f'/proc/self/fd/{descriptor}')}")
            fsync(descriptor)

        def log_rename(source: Any, target: Any) -> None:
            self.events.append(f"rename {source} -> {target}")
            rename(source, target)

        def log_replace(source: Any, target: Any) -> None:
            self.events.append(f"rename {source} -> {target}")
            replace(source, target)

        for name, function in (("fsync", log_sync), ("rename", log_rename), ("replace", log_replace)):
            monkeypatch.setattr(os, name, function)

    def take(self, *, within: Path) -> list[str]:
        """The events so far, with paths as seen from ``within``."""
        found = [event.replace(f"{within}/", "").replace(f" {within}", " .") for event in self.events]
        self.events.clear()
        return found
