"""The files of a run directory, and what is tried in an evaluation."""

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]
_QUERY = re.compile(r'\{"id": ?("(?:[^"\\]|\\.)*"), ?"index": ?\d+, ?"fields": ?(\{.*\})\}', re.DOTALL)


def read_lines(path: Path) -> Iterator[str]:
    """The whole lines; what follows the last of them was torn by a kill."""
    if path.exists():
        yield from path.read_bytes().decode().split("\n")[:-1]


def read_records(path: Path) -> list[Json]:
    return [json.loads(line) for line in read_lines(path)]


def read_json(path: Path) -> Json:
    found: Json = json.loads(path.read_bytes())
    return found


@dataclass
class Query:
    id: str
    #: As it is written.
    fields: str


@dataclass
class Try:
    """One sample of a query under one decoding: the episodes of the arms that have one."""

    query: Query
    #: Number of the query's try, from 0.
    sample: int
    episodes: dict[str, Json]

    @property
    def base_failed(self) -> bool:
        return not first_passed(self.episodes["base"])


class Run:
    def __init__(self, folder: Path):
        self.folder = folder
        self.manifest = read_json(folder / "run.json")
        self.config = read_json(folder / "eval" / "config.json")
        self.eval: Json = self.config["eval"]
        self.data = read_json(folder / "data" / "summary.json")
        own = "model" not in self.eval
        self.reward: str | None = self.config["train"]["reward"] if own else None
        self.tallies = read_records(folder / "failures" / "tallies.jsonl") if own else []
        self.events = read_records(folder / "train" / "events.jsonl") if own else []
        self.trained = os.path.abspath(folder / "train" / "model") if own else self.eval["model"]
        self.queries = [_query(line) for line in read_lines(folder / "data" / "test.jsonl")]
        self._records = read_records(folder / "eval" / "journal.jsonl")

    def samples(self, decoding: str) -> int:
        return int(self.eval["samples"]) if decoding == "sampled" else 1

    def tries(self, decoding: str) -> list[Try]:
        found: dict[tuple[int, str], dict[str, Json]] = {}
        for record in self._records:
            if record["decoding"] == decoding:
                place = record.get("sample", 0), record["id"]
                found.setdefault(place, {})[record["arm"]] = record["episode"]
        return [
            Try(query, sample, found[sample, query.id])
            for sample in range(self.samples(decoding))
            for query in self.queries
        ]

    def arms(self) -> list[str]:
        """Their names, in the order of the report."""
        both = ["bare_retry", "hint", "donor", "best_of_two", "equal_tokens"]
        controls = [
            name
            for control in self.eval["controls"]
            for name in ([f"{control}_base", f"{control}_trained"] if control in both else [control])
        ]
        return ["base", "trained", "trained_on_base", *controls, *(each["name"] for each in self.eval["baselines"])]

    def versions(self) -> dict[str, str]:
        said: dict[str, str] = {}
        for event in read_records(self.folder / "workers.jsonl"):
            if event["event"] == "hello":
                said |= event["versions"]
        return said

    def steps(self) -> list[Json]:
        """The last event of each step: a resumed trainer repeats some."""
        last = {event["step"]: event for event in self.events if event["kind"] == "step"}
        return [last[step] for step in sorted(last)]

    def benchmarks(self) -> dict[str, tuple[list[Json], list[Json]]]:
        """Items of each benchmark before and after; none where they weren't run."""
        if self.manifest["stages"].get("benchmarks", {}).get("status") != "finished":
            return {}
        folder = self.folder / "benchmarks"
        tasks = read_json(folder / "config.json")["benchmarks"]["tasks"]
        both = [[read_records(folder / model / f"{task}.jsonl") for model in ("base", "trained")] for task in tasks]
        return {task: (before, after) for task, (before, after) in zip(tasks, both, strict=True)}


def _query(line: str) -> Query:
    found = _QUERY.fullmatch(line)
    assert found, f"not a query: {line[:200]}"
    return Query(json.loads(found[1]), found[2])


Episode = Json | None


def first_passed(episode: Episode) -> bool:
    return bool(episode and episode["first"] and episode["first"]["verdict"]["passed"])


def retry_passed(episode: Episode) -> bool:
    return bool(episode) and any(each["retry"]["verdict"]["passed"] for each in retried(episode))


def any_passed(episode: Episode) -> bool:
    return first_passed(episode) or retry_passed(episode)


def last_passed(episode: Episode) -> bool:
    last = last_answer(episode)
    return bool(last and last["verdict"]["passed"])


def retried(episode: Episode) -> list[Json]:
    return list(episode["rounds"]) if episode else []


def last_answer(episode: Episode) -> Json | None:
    rounds = retried(episode)
    found: Json | None = rounds[-1]["retry"] if rounds else episode["first"] if episode else None
    return found


def best_retry(episode: Episode) -> Json | None:
    """The retry that passed, else the last one."""
    retries: list[Json] = [each["retry"] for each in retried(episode)]
    return next((retry for retry in retries if retry["verdict"]["passed"]), retries[-1] if retries else None)


PASSED: dict[str, Callable[[Episode], bool]] = {
    "first": first_passed,
    "retry": retry_passed,
    "any": any_passed,
    "last": last_passed,
}
#: The answer that a verdict is counted of.
ANSWER: dict[str, Callable[[Episode], Json | None]] = {
    "first": lambda episode: episode["first"] if episode else None,
    "retry": best_retry,
    "last": last_answer,
}
