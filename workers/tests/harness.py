"""What several tests need: a resolved config, and a worker process to exchange frames with as the command line does."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# What src/config/schema.ts fills in; the mirror in config.py refuses a config that lacks any of it.
_DEFAULTS: dict[str, Any] = {
    "seed": 0,
    "model": {"name": "/nowhere", "dtype": "auto", "max_model_len": 256},
    "task": {"name": "countdown", "options": {}, "prompts": {}},
    "data": {
        "source": "generator",
        "rows": 100,
        "hub_split": "train",
        "columns": {},
        "on_bad_row": "fail",
        "test_fraction": 0.2,
        "train_fraction": 0.8,
    },
    "sampling": {"temperature": 1.0, "top_p": 1.0, "max_answer_tokens": 16, "max_reflection_tokens": 16},
    "workers": {
        "engine": "vllm",
        "count": 1,
        "tensor_parallel": 1,
        "max_in_flight": 64,
        "ready_timeout_s": 300,
        "call_timeout_s": 300,
        "stop_grace_s": 10,
        "max_restarts": 3,
        "gpu_memory_utilization": 0.9,
        "cpu_kv_cache_gib": 0.25,
        "enforce_eager": True,
        "prefix_caching": True,
    },
    "failures": {"max_draws": 64, "failures_per_query": 1, "keep": "any"},
    "train": {
        "steps": 2,
        "batch_size": 8,
        "micro_batch_size": 8,
        "num_generations": 4,
        "retries_per_reflection": 1,
        "reward": "verifier",
        "learning_rate": 1e-4,
        "lr_scheduler": "cosine",
        "warmup_ratio": 0.03,
        "beta": 0.001,
        "epsilon": 0.2,
        "loss_type": "grpo",
        "scale_rewards": "group",
        "max_grad_norm": 1.0,
        "gradient_checkpointing": False,
        "checkpoint_every": 50,
        "keep_checkpoints": 2,
        "max_logprob_difference": 2e-3,
        "max_restarts": 2,
        "step_timeout_s": 600,
        "gpu_memory_utilization": 0.3,
    },
    "eval": {"modes": ["sampled", "greedy"], "examples": 10},
}


def resolved_config(**sections: Any) -> dict[str, Any]:
    """The defaults with ``sections`` merged in: ``resolved_config(seed=3, data={"rows": 7})``."""
    merged = json.loads(json.dumps(_DEFAULTS))
    for name, value in sections.items():
        merged[name] = {**merged[name], **value} if isinstance(value, dict) else value
    return merged


class WorkerProcess:
    """A role under its guardian, in a process group of its own; use as a context manager."""

    def __init__(self, module: str, log: Path, env: Mapping[str, str] | None = None):
        self.log = log
        lifeline, self._lifeline = os.pipe()

        def give_lifeline() -> None:
            os.dup2(lifeline, 3)

        with log.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "rrr_workers.guardian", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
                preexec_fn=give_lifeline,
                pass_fds=(3,),
                env={**os.environ, **(env or {})},
            )
        os.close(lifeline)
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
        self.send({"type": "start", "protocol": 1, "config": config, "options": options or {}})

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
        """The next frame of type ``kind``; error frames on the way fail the test."""
        while frame := self.read(timeout_s):
            if frame["type"] == kind:
                return frame
            assert frame["type"] != "error", frame
        raise AssertionError(f"the stream ended without {kind!r}; log:\n{self.log.read_text()[-4000:]}")

    def group(self) -> list[int]:
        """The processes of the group that still live."""
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _lives_in(pid, self.process.pid)]

    def wait_until_gone(self, timeout_s: float) -> float:
        """Seconds until no process of the group is left."""
        begun = time.monotonic()
        while self.group():
            assert time.monotonic() - begun < timeout_s, [_command(pid) for pid in self.group()]
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


def _lives_in(pid: int, group: int) -> bool:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return fields[0] != "Z" and int(fields[2]) == group


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except (FileNotFoundError, ProcessLookupError):
        return f"{pid}: gone"
