"""What a run takes from the hub: got from a hub of this machine, then used with that hub gone."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from fake_hub import commit_of, serving
from harness import WorkerProcess, resolved_config
from rrr_workers.hub.fetch import files_of_model

ROWS = {"v1": [{"nums": [1, 2, 3], "target": 6}], "main": [{"nums": [4, 5, 6], "target": 15}]}
CARD = """---
configs:
- {config_name: small, data_files: [{split: train, path: small.jsonl}]}
- {config_name: whole, default: true, data_files: [{split: train, path: whole.jsonl}]}
---
"""


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    root = tmp_path / "hub"
    files = {
        "config.json": b'{"max_position_embeddings": 256}',
        "model.safetensors": (2).to_bytes(8, "little") + b"{}",
        "tokenizer.json": b"{}",
        "tokenizer_config.json": b'{"chat_template": "{{ messages }}"}',
        **dict.fromkeys(("model.gguf", "pytorch_model.bin", "original/weights.safetensors"), b"another format"),
    }
    for name, content in files.items():
        file = root / "models" / "lab" / "tiny" / "main" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    for revision, rows in ROWS.items():
        folder = root / "datasets" / "lab" / "CountUp" / revision
        folder.mkdir(parents=True)
        (folder / "README.md").write_text(CARD)
        for name in ("small", "whole"):
            lines = [json.dumps({**row, "of": name}) for row in rows]
            (folder / f"{name}.jsonl").write_text("\n".join(lines))
    folder = root / "datasets" / "openai" / "gsm8k" / "main"
    folder.mkdir(parents=True)
    (folder / "README.md").write_text(CARD.replace("small", "main").replace("train", "test").replace("whole", "other"))
    (folder / "main.jsonl").write_text(json.dumps({"question": "1 + 1?", "answer": "#### 2"}))
    (folder / "other.jsonl").write_text("{}")
    return root


CONFIG = resolved_config(
    model={"name": "lab/tiny"},
    data={"source": "hub", "dataset": "lab/CountUp", "rows": None, "test_fraction": 0, "train_fraction": 1},
    benchmarks={"tasks": ["gsm8k"]},
)


def config(**changes: Any) -> dict[str, Any]:
    return {**CONFIG, **{section: {**CONFIG[section], **values} for section, values in changes.items()}}


class Machine:
    """A machine with a cache of its own; without ``address`` the hub is offline."""

    def __init__(self, folder: Path, address: str | None = None):
        # Of an address that is none, nothing is asked: the libraries hold to HF_HUB_OFFLINE.
        offline = {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}
        self._env = {"HF_HOME": str(folder), **({"HF_ENDPOINT": address} if address else offline)}
        self._log = folder.parent / "log"

    @contextmanager
    def _ask(self, role: str, config: Mapping[str, Any], method: str, params: Mapping[str, Any]) -> Iterator[Any]:
        with WorkerProcess(f"rrr_workers.roles.{role}", self._log, self._env) as worker:
            worker.start(config)
            worker.read_until("ready", 60)
            worker.call(1, method, params)
            yield worker

    def hub(self, config: Mapping[str, Any], *, fetch: bool, commits: Any = None) -> dict[str, Any]:
        params = {"parts": ["models", "data", "benchmarks"], "commits": commits or {}, "fetch": fetch}
        with self._ask("hub", config, "hub", params) as worker:
            found = worker.read_until("result", 60)["value"]["repos"]
            loaded = [library.path for library in psutil.Process(max(worker.group())).memory_maps()]
            assert not [path for path in loaded if "libtorch" in path]
        return {each["name"]: each for each in found}

    def rows(self, config: Mapping[str, Any], output: Path) -> list[Any]:
        config = {**config, "engine": {**config["engine"], "name": "openai"}}  # the data alone
        with self._ask("prepare", config, "prepare", {"output": str(output)}) as worker:
            worker.read_until("result", 60)
        return [json.loads(line)["fields"] for line in (output / "train.jsonl").read_text().splitlines()]


def test_what_is_fetched_is_used_at_its_commit_without_the_hub(hub: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with serving(hub) as (address, asked):
        machine = Machine(home, address)
        old = machine.hub(config(data={"revision": "v1"}), fetch=True)
        new = machine.hub(CONFIG, fetch=True)
    assert not [each["error"] for each in (*old.values(), *new.values()) if each["error"]]
    datasets = hub / "datasets"
    commits = {name: each["commit"] for name, each in {**old, **new}.items()}
    assert commits == {
        "lab/tiny@main": commit_of(hub / "models/lab/tiny/main"),
        "datasets/lab/CountUp@v1": commit_of(datasets / "lab/CountUp/v1"),
        "datasets/lab/CountUp@main": commit_of(datasets / "lab/CountUp/main"),
        "datasets/openai/gsm8k@main": commit_of(datasets / "openai/gsm8k/main"),
    }
    for unused in ("model.gguf", "pytorch_model.bin", "original", "small.jsonl", "other.jsonl"):
        assert not [line for line in asked if line.startswith("GET") and f"/{unused}" in line]
    assert new["lab/tiny@main"]["bytes"] == 79  # of the four files that a run loads

    offline = Machine(home)
    assert {name: each["commit"] for name, each in offline.hub(CONFIG, fetch=False).items()} == {
        name: commits[name] for name in new
    }
    assert offline.rows(CONFIG, tmp_path / "main")[0]["target"] == 15
    # The commit that the run has chosen, not what the branch is now, nor what `datasets` prepared last.
    pinned = {**CONFIG, "hub_commits": {"datasets/lab/CountUp@main": commits["datasets/lab/CountUp@v1"]}}
    assert offline.rows(pinned, tmp_path / "pinned")[0]["target"] == 6


def test_what_is_not_here_is_told_with_the_command_that_gets_it(hub: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with serving(hub) as (address, _):
        assert not Machine(home, address).hub(CONFIG, fetch=True)["lab/tiny@main"]["error"]
        missing = Machine(home, address).hub(config(model={"name": "lab/none"}, data={"revision": "v7"}), fetch=True)
    assert "the hub has no model 'lab/none'" in missing["lab/none@main"]["error"]["message"]
    assert "data.revision: lab/CountUp has no 'v7'" in missing["datasets/lab/CountUp@v7"]["error"]["message"]
    assert not missing["datasets/openai/gsm8k@main"]["error"]

    def told(**changes: Any) -> list[str]:
        found = Machine(home).hub(config(**changes), fetch=False).values()
        errors = [each["error"] for each in found if each["error"]]
        assert all("rrr fetch -c CONFIG" in error["cure"] for error in errors)
        return [error["message"] for error in errors]

    assert told() == []
    (other,) = told(model={"name": "lab/other"})
    assert other == "model.name: lab/other at main is not in the cache of this machine, and the hub is offline"
    (subset,) = told(data={"subset": "small"})
    assert "lab/CountUp, subset small" in subset
    weights = next((home / "hub").glob("models--lab--tiny/snapshots/*/model.safetensors"))
    os.remove(weights)
    (partly,) = told()
    assert "lab/tiny" in partly
    assert "has no weights" in partly


def test_of_a_model_s_repository_only_what_is_loaded_is_fetched() -> None:
    names = ["config.json", "merges.txt", "tokenizer.model", "additional_chat_templates/tools.jinja"]
    weights = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"]
    others = ["pytorch_model.bin", "consolidated.safetensors", "model.gguf", "onnx/model.onnx", "tf_model.h5"]
    assert files_of_model([*names, *weights, *others]) == [*names, *weights]
    assert files_of_model([*names, "pytorch_model.bin", "training_args.bin"]) == [*names, "pytorch_model.bin"]
