"""The parts of the check, one after the other: __main__.py says what each is."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil

from . import cards as gpus
from .cards import GIB, Card, Peak
from .models import is_made
from .on_cpu import SHARD_ON_CPU
from .outcomes import Failed, Late, Skipped
from .plan import (
    ON_CPU,
    ON_GPUS,
    Run,
    disk_bytes,
    fitted,
    loading_bytes_of,
    mfu,
    model_file_bytes,
    models_asked,
    planned_bytes,
    resolved,
)
from .report import Parts, gib, say
from .trained import Trained
from .worker import Worker

_STEPS = 3
_NEVER_FREE = 3 * GIB // 2  # of a card, for any program: what nvidia-smi counts and CUDA does not give
_SMALL = 2_000_000_000  # parameters of a model that is written in seconds


class Check:
    def __init__(self, options: argparse.Namespace, cards: list[Card]):
        self._options = options
        self._cards = cards
        self._scale = ON_CPU if options.on_cpu else ON_GPUS
        self._ranks = 2 if options.on_cpu else len(cards)
        self._out: Path = options.out
        self._before = [0] if options.on_cpu else gpus.used()[: len(cards)]
        self._models = models_asked(options.model, on_cpu=options.on_cpu)
        self._stopped: Run | None = None  # has a checkpoint to go on from
        self._parts = Parts(cards, options.budget_s, engine=not options.no_engine, on_cpu=options.on_cpu)
        self.report = self._parts.report

    def run(self) -> None:
        small, large = self._models[0], self._models[-1]
        with self._parts.part("sampling"):
            if self._options.no_engine:
                raise Skipped("--no-engine")
            self._sample(small)
        self._train(Run("plain", small, self._scale, self._ranks))
        if self._ranks > 1 and (not self._options.on_cpu or os.environ.get(SHARD_ON_CPU)):
            self._train(
                *(Run("sharded", model, self._scale, self._ranks, sharding="fsdp2") for model in (large, small))
            )
        else:
            self._parts.tell("skipped", "sharded", "it needs several GPUs")
        has_checkpoint = self._stopped is not None
        if has_checkpoint:
            self._resume()
        self._train(*(Run("lora", model, self._scale, 1, lora=True) for model in (large, small)))
        if not has_checkpoint:
            self._resume()

    def _model(self, name: str) -> Path:
        folder = self._out / "models" / name
        if is_made(folder):
            return folder
        self._check_disk(model_file_bytes(name))
        part = f"model {name}"
        limit, begun = self._parts.limit(part), time.monotonic()
        log = self._log(part)
        with log.open("wb") as output:
            command = [sys.executable, "-m", "gpu_check.models", name, str(folder)]
            env = {**os.environ, **self._environment()}
            made = subprocess.Popen(command, stdout=output, stderr=output, env=env)
            try:
                status = made.wait(limit - begun)
            except subprocess.TimeoutExpired:
                raise Late(f"{part} took too long to make: {log}") from None
            finally:
                made.kill()
        if status:
            raise Failed(f"{part} can't be made: {log}")
        self.report.seconds[part] = round(time.monotonic() - begun, 1)
        return folder

    def _sample(self, model: str) -> None:
        folder = self._model(model)
        config = resolved(str(folder), self._scale, {})
        config["sampling"]["max_answer_tokens"] = self._scale.reflection
        config["engine"]["enforce_eager"] = self._options.on_cpu
        answers, warm = self._scale.answers, self._scale.answers // 4
        asked = {"max_draws": 1, "failures_per_query": 1, "keep": "any"}
        limit, env = self._parts.limit("sampling"), self._environment()
        with Worker("rrr_workers.roles.sampler", self._log("sampling"), limit, env) as worker:
            worker.start(config, {"model": str(folder), "index": 0})

            def sample(numbers: range) -> int:
                for number in numbers:
                    fields = {"nums": [number, 2, 3], "target": 7}
                    worker.call(number, "sample_failures", {"query": {"id": f"{number}", "fields": fields}, **asked})
                tokens, waiting = 0, len(numbers)
                for frame in worker.frames():
                    if frame["type"] == "error":
                        raise Failed(frame["error"]["message"])
                    if frame["type"] == "result":
                        tokens += frame["value"]["completion_tokens"]
                        waiting -= 1
                    if not waiting:
                        break
                return tokens

            sample(range(warm))
            begun = time.monotonic()
            tokens = sample(range(warm, answers))
            self.report.tokens_per_s = round(tokens / (time.monotonic() - begun), 1)

    def _train(self, *choices: Run) -> None:
        """The first of ``choices`` that fits the memory."""
        name = choices[0].name
        with self._parts.part(name):
            run, folder = self._ready(choices)
            output = self._fresh(name)
            has_room = disk_bytes(run) <= shutil.disk_usage(self._out).free
            if self._stopped is None and has_room:
                trained = self._watch(run, folder, output, _STEPS + 2, stop_after=_STEPS)
                if trained.error or not trained.of_kind("checkpoint"):
                    raise Failed(trained.error or "it was stopped, and wrote no checkpoint")
                self._stopped = run
            elif has_room and run.shape.parameters < _SMALL:
                trained = self._watch(run, folder, output, _STEPS)
                if trained.error or not trained.result:
                    raise Failed(trained.error or "it ended without a result")
            else:
                trained = self._watch(run, folder, output, _STEPS + 1, kill_after=_STEPS)
            self._judge(run, trained)
        if self._stopped is None or self._stopped.name != name:
            shutil.rmtree(self._out / "runs" / name, ignore_errors=True)

    def _ready(self, choices: tuple[Run, ...]) -> tuple[Run, Path]:
        reasons = []
        for run in dict.fromkeys(choices):
            try:
                sized = fitted(run, self._cards, self._free(), engine=not self._options.no_engine)
                host = psutil.virtual_memory().available
                if (needed := loading_bytes_of(sized, self._cards)) > host:
                    raise Skipped(f"it needs {gib(needed)} GiB of the machine's memory, {gib(host)} are free")
                return sized, self._model(run.model)
            except Skipped as reason:
                reasons.append(f"{run.model}: {reason}")
                say(f"{run.name}: not the model {reasons[-1]}")
        raise Skipped("; ".join(reasons))

    def _fresh(self, name: str) -> Path:
        output = self._out / "runs" / name
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir(parents=True)
        return output

    def _resume(self) -> None:
        run, resumed = self._stopped, None
        with self._parts.part("resume"):
            if run is None:
                raise Skipped("no run left a checkpoint")
            output = self._out / "runs" / run.name
            trained = self._watch(run, self._model(run.model), output, _STEPS + 2, name="resume", drop_update=2)
            begun = [event["step"] for event in trained.of_kind("resumed")]
            if begun != [_STEPS] or _STEPS + 1 not in trained.steps:
                raise Failed(trained.error or f"it went on from {begun} and made the steps {trained.steps}")
            resumed = trained
        if run is not None:
            shutil.rmtree(self._out / "runs" / run.name, ignore_errors=True)
        with self._parts.part("stale"):  # what there is to see happened in the part before
            if self._options.no_engine:
                raise Skipped("--no-engine")
            if resumed is None:
                raise Skipped("no run was resumed")
            if "does not have the trainer's weights" not in (resumed.error or ""):
                raise Failed(f"a dropped weight update did not stop the run: {resumed.error or resumed.result}")

    def _watch(
        self,
        run: Run,
        folder: Path,
        output: Path,
        steps: int,
        *,
        name: str | None = None,
        stop_after: int | None = None,
        kill_after: int | None = None,
        drop_update: int = 0,
    ) -> Trained:
        """Train until the run ends, is stopped after a step with a checkpoint, or is killed after one."""
        name = name or run.name
        limit = self._parts.limit(name)
        config, trained = run.config(str(folder), steps), Trained()
        # To capture CUDA graphs takes longer than these steps: one part does it, as real runs do.
        config["engine"]["enforce_eager"] = self._options.on_cpu or name != "plain"
        params = {"failures": str(self._failures()), "output": str(output), "resume": name == "resume"}
        task = self._out / "runs" / f"{name}.json"
        task.write_text(json.dumps({"config": config, "params": params}))
        env = {**self._environment(), "RRR_CHECK_TRAIN": str(task), "RRR_CHECK_DROPPED": str(drop_update)}
        module = "gpu_check.stock" if self._options.no_engine else "gpu_check.watched"
        if not self._options.on_cpu:
            gpus.wait_until_free(self._before)
        with Worker(module, self._log(name), limit, env, run.ranks) as worker:
            read = partial(gpus.used_by_group, worker.group) if self._options.on_cpu else gpus.used
            with Peak(read, self._before) as peak:
                try:
                    trained.follow(worker, config, params, stop_after, kill_after)
                finally:
                    planned = planned_bytes(run, self._cards, trained.longest, engine=not self._options.no_engine)
                    self.report.memory_gib[name] = {"measured": gib(peak.most), "planned": gib(planned)}
        return trained

    def _judge(self, run: Run, trained: Trained) -> None:
        name, report = run.name, self.report
        trained.check(_STEPS)
        if trained.logprob_gap is not None:
            report.logprob_gap[name] = trained.logprob_gap
        report.step_s[name] = trained.step_s
        reached = mfu(run, *trained.computed, gpus.peak_flops(self._cards[0].name) if self._cards else None)
        report.mfu[name] = None if reached is None else round(reached, 3)
        memory = "{measured:.1f} GiB (planned {planned:.1f})".format(**report.memory_gib[name])
        say(f"{name}: the {run.model} model, {report.step_s[name]:.2f} s a step, {memory}")

    def _failures(self) -> Path:
        """Rows as build-failures writes them."""
        path = self._out / "runs" / "failures.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        query = {"target": 43}
        rows = [
            {"id": f"{number:016x}", "query": {"nums": [number, 2, 3], **query}, "completion": f"{number}+2+3"}
            for number in range(1, 33)
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    def _free(self) -> int:
        """Bytes of the card that has the least."""
        if not self._cards:
            return 0
        cards = zip(self._cards, self._before, strict=True)
        return min(card.memory - taken for card, taken in cards) - _NEVER_FREE

    def _check_disk(self, needed: int) -> None:
        self._out.mkdir(parents=True, exist_ok=True)
        if needed > (free := shutil.disk_usage(self._out).free):
            raise Skipped(f"{self._out} needs {gib(needed)} GiB, {gib(free)} are free")

    def _environment(self) -> dict[str, str]:
        env = {"HF_HUB_OFFLINE": "1"}
        return {**env, "CUDA_VISIBLE_DEVICES": "", "OMP_WAIT_POLICY": "PASSIVE"} if self._options.on_cpu else env

    def _log(self, name: str) -> Path:
        folder = self._out / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{name.replace(' ', '-')}.log"
