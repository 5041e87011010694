"""A finished run as its files, with outcomes drawn at random: for test_recount.py."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness import resolved_config

_CONTROLS = ["bare_retry", "hint", "donor", "base_reflection", "trained_reflection", "best_of_two", "equal_tokens"]
#: Everything that the evaluation can do.
EVERYTHING: dict[str, Any] = {
    "modes": ["sampled", "greedy"],
    "samples": 3,
    "rounds": 2,
    "retry": "all",
    "controls": _CONTROLS,
    "baselines": [{"name": "other-2B", "model": "/models/other-2B"}],
    "examples": 3,
}
_BENCHMARKS = ["gsm8k", "math", "hellaswag", "mmlu_pro"]
_KINDS = ["missed_target", "wrong_numbers", "no_answer", "a|b_*4"]
_CHANCES = {"base": 0.2, "trained": 0.45}


class RecordedRun:
    def __init__(self, folder: Path, seed: int, *, queries: int = 41, task: str = "countdown", **sections: Any):
        self.folder = folder
        self.chance = random.Random(seed)
        self.queries = [f"q{index}" for index in range(queries)]
        self.config = resolved_config(task={"name": task}, **sections)
        self.eval = self.config["eval"]

    def write(self, *, benchmarks: bool = False) -> None:
        """All that a report is made of."""
        stages = ["failures", "train", "eval", *(["benchmarks"] if benchmarks else [])]
        self._json("run.json", self._manifest(stages))
        self._json("eval/config.json", self.config)
        self._json("data/summary.json", self._data())
        self._lines("data/test.jsonl", (self._query(index) for index in range(len(self.queries))))
        self._lines("failures/tallies.jsonl", (self._tally(index) for index in range(60)))
        self._lines("train/events.jsonl", self._events())
        self._lines("workers.jsonl", self._workers())
        self._lines("eval/journal.jsonl", self._records())
        if benchmarks:
            self._write_benchmarks()

    def _json(self, name: str, value: Any) -> None:
        self._write(name, json.dumps(value))

    def _lines(self, name: str, values: Iterator[Any]) -> None:
        self._write(name, "".join(f"{json.dumps(value)}\n" for value in values))

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def _passes(self, model: str) -> bool:
        return self.chance.random() < _CHANCES.get(model, 0.3)

    def _manifest(self, stages: list[str]) -> dict[str, Any]:
        stage = {"status": "finished", "config_sha": "", "started": "", "finished": "", "attempts": 1}
        seconds = self.chance.sample([0.04, 12.25, 59.96, 61.5, 3599.6, 86399.0, 4000.5], len(stages))
        return {
            "format": 2,
            "rrr_version": "0.1.0",
            "commit": "0f" * 20,
            "machine": {"cpu": "A processor of 1998 @ 2.50GHz", "cores": 3, "memory_gib": 7},
            "created": "2026-01-02T03:04:05.678Z",
            "date": "2026-01-02",
            "hub": {"owner/name@main": "607a30d783dfa663caf39e06633721c8d4cfcd7e"},
            "prompts": {"question": "Use {numbers}\n| to make {target}: 1 * 2.", "system": None},
            "stages": {name: {**stage, "seconds": each} for name, each in zip(stages, seconds, strict=True)},
        }

    def _data(self) -> dict[str, Any]:
        return {
            "read": 173,
            "train": 86,
            "test": len(self.queries),
            "unused": 7,
            "duplicates": 3,
            "skipped": 1,
            "skipped_examples": ["row 3"],
            "prompts": {},
        }

    def _query(self, index: int) -> dict[str, Any]:
        nums = [self.chance.randint(1, 99) for _ in range(3)]
        return {"id": self.queries[index], "index": index, "fields": {"nums": nums, "target": index}}

    def _tally(self, index: int) -> dict[str, Any]:
        draws = self.chance.randint(0, 5)
        passed = self.chance.randint(0, draws)
        return {
            "id": f"t{index}",
            "index": index,
            "draws": draws,
            "passed": passed,
            "pass_rate": self.chance.random() if draws else None,
            "kinds": {"passed": passed, self.chance.choice(_KINDS): draws - passed} if draws else {},
            "prompt_tokens": 5,
            "completion_tokens": 3,
            "kept": passed < draws,
        }

    def _events(self) -> Iterator[dict[str, Any]]:
        yield {"kind": "self_check", "inside": self.chance.random() / 1e3, "outside": 0}
        for step in [*range(1, 61), *range(51, 71)]:
            if step == 51:
                yield {"kind": "resumed", "step": 50, "path": "checkpoint-50"}
            yield self._step(step)

    def _step(self, step: int) -> dict[str, Any]:
        drawn = ("second_try", "reward", "reward_std", "loss", "grad_norm", "reflection_truncated")
        return {
            "kind": "step",
            "step": step,
            **{name: self.chance.random() for name in drawn},
            "kl": step / 1e5 * self.chance.random(),
            "learning_rate": 1e-4,
            "reflection_tokens": 12 + self.chance.random(),
            "logprob_difference": 1e-6 * self.chance.random(),
            "tokens_per_second": 900,
            "seconds": 1,
        }

    def _workers(self) -> Iterator[dict[str, Any]]:
        event = {"time": 0, "rrr": 1, "worker": "sampler-0"}
        yield {**event, "event": "started", "pid": 2}
        for versions in ({"torch": "2.12.0", "vllm": "0.31.0"}, {"torch": "2.13.0+cpu"}):
            yield {**event, "event": "hello", "versions": versions}
        for engine in ({"engine": "vllm", "dtype": "float32"}, {}):
            yield {**event, "event": "ready", "info": {"device": "cpu", **engine}}

    def _records(self) -> Iterator[dict[str, Any]]:
        for decoding in self.eval["modes"]:
            for sample in range(self.eval["samples"] if decoding == "sampled" else 1):
                for query in self.queries:
                    for arm, episode in self._episodes().items():
                        yield {"arm": arm, "decoding": decoding, "sample": sample, "id": query, "episode": episode}

    def _episodes(self) -> dict[str, Any]:
        """Of a sample of one query, by arm."""
        names = ["base", "trained", *(each["name"] for each in self.eval["baselines"])]
        episodes = {name: self._own(name) for name in names}
        if episodes["base"]["first"]["verdict"]["passed"]:
            return episodes
        episodes["trained_on_base"] = {"first": None, "rounds": self._rounds("trained")}
        for control in self.eval["controls"]:
            mixed = {"base_reflection": ["trained"], "trained_reflection": ["base"]}.get(control)
            for model in mixed or ["base", "trained"]:
                # A donor's reflection may be missing.
                if control != "donor" or self.chance.random() < 0.9:
                    name = control if mixed else f"{control}_{model}"
                    retries = self.chance.randint(1, 3) if control == "equal_tokens" else 1
                    episodes[name] = {"first": None, "rounds": [self._retry(model) for _ in range(retries)]}
        return episodes

    def _own(self, model: str) -> dict[str, Any]:
        passed = self._passes(model)
        retried = not passed or self.eval["retry"] == "all"
        return {"first": self._attempt(passed), "rounds": self._rounds(model) if retried else []}

    def _rounds(self, model: str) -> list[dict[str, Any]]:
        rounds: list[dict[str, Any]] = []
        for _ in range(self.eval["rounds"]):
            passed_before = rounds and rounds[-1]["retry"]["verdict"]["passed"]
            if self.eval["retry"] == "failed" and passed_before:
                break
            rounds.append({"reflection": self._reflection(), "retry": self._attempt(self._passes(model))})
        if self.chance.random() < 0.1:
            rounds[-1]["reflection"] = None
        return rounds

    def _retry(self, model: str) -> dict[str, Any]:
        return {"reflection": None, "retry": self._attempt(self._passes(model))}

    def _reflection(self) -> dict[str, Any]:
        said = self.chance.choice(
            ["I got {}.\n\n### 12 | `34` ``` & <b>5</b>\n- 6 \\* 7", "Begin with 3*4, {}.", "I got 8."]
        )
        return self._completion(said, "length")

    def _attempt(self, passed: bool) -> dict[str, Any]:
        verdict = {"passed": passed, "kind": "passed" if passed else self.chance.choice(_KINDS), "detail": ""}
        return {**self._completion("<answer> {} * 2 </answer>", "stop"), "verdict": verdict}

    def _completion(self, text: str, finish_reason: str) -> dict[str, Any]:
        tokens = self.chance.randint(1, 30)
        return {
            "completion": text.format(self.chance.randint(1, 99)),
            "tokens": tokens,
            "finish_reason": finish_reason if tokens > 15 else "stop",
            "prompt_tokens": self.chance.randint(20, 90),
        }

    def _write_benchmarks(self) -> None:
        tasks = self.chance.sample(_BENCHMARKS, 3)
        self._json("benchmarks/config.json", {**self.config, "benchmarks": {"tasks": tasks}})
        for task in tasks:
            items = self.chance.sample(range(99), 30)
            for model, chance in (("base", 0.5), ("trained", self.chance.choice([0.1, 0.5, 0.9]))):
                self.chance.shuffle(items)
                self._lines(f"benchmarks/{model}/{task}.jsonl", (self._item(model, task, i, chance) for i in items))

    def _item(self, model: str, task: str, item: int, chance: float) -> dict[str, Any]:
        too_long = self.chance.random() < 0.05
        return {
            "id": f"i{item}",
            "model": model,
            "task": task,
            "score": int(not too_long and self.chance.random() < chance),
            "too_long": too_long,
            "cut": self.chance.random() < 0.2,
            "prompt": "same" if self.chance.random() < 0.9 else model,
            "completion": None,
        }
