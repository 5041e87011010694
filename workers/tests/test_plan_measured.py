"""What a plan says of memory against two training processes of a real run, on the CPU."""

import os
import shutil
from pathlib import Path

import pytest

from harness import WorkerProcess
from rrr_workers.config import parse_config
from rrr_workers.engines.model_folder import read_json
from rrr_workers.training.memory import parts
from rrr_workers.training.memory_setup import memory_setup
from rrr_workers.training.shapes import Shape
from training_fixtures import training_config, write_failures

pytestmark = pytest.mark.skipif("RRR_SLOW_TESTS" not in os.environ, reason="two trainings: set RRR_SLOW_TESTS=1")
RANKS = 2


def make_model(folder: Path, like: Path, layers: int, hidden: int) -> Path:
    """Random weights; the tokenizer of ``like``."""
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(like)
    config.update({"num_hidden_layers": layers, "hidden_size": hidden, "intermediate_size": 4 * hidden})
    config.update({"num_attention_heads": hidden // 32, "num_key_value_heads": hidden // 32})
    shutil.copytree(like, folder, ignore=shutil.ignore_patterns("*.safetensors", "config.json"))
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


def peak_of_a_rank(model: Path, folder: Path) -> tuple[int, int]:
    """Bytes: the most that the larger of the ranks has held by the end of the second step, and what is planned."""
    train = {"steps": 3, "processes": RANKS, "beta": 0.01, "checkpoint_every": 100}
    config = training_config(model, train=train)
    config["model"]["max_model_len"] = 128  # about what its sequences have
    folder.mkdir()
    params = {"failures": str(write_failures(folder / "failures.jsonl")), "output": str(folder), "resume": False}
    with WorkerProcess("rrr_workers.roles.trainer", folder / "log", {"OMP_NUM_THREADS": "1"}, RANKS) as worker:
        worker.start(config)
        worker.call(1, "train", params)
        steps = 0
        while steps < 2:
            frame = worker.read_until("event", 300)
            steps += frame["event"]["kind"] == "step"
        most = max(_most_resident(pid) for pid in worker.group())
    shape = Shape.of(read_json(model / "config.json"))
    setup = memory_setup(parse_config(config), None, ranks=RANKS, dtype="float32")
    return most, parts(shape, setup).total


def _most_resident(pid: int) -> int:
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def test_two_processes_hold_what_is_planned(tiny_model: Path, tmp_path: Path) -> None:
    """Of two sizes of one model, so that the libraries, which hold about a GiB, don't count."""
    found = []
    for name, layers, hidden in (("small", 4, 256), ("large", 8, 1024)):
        model = make_model(tmp_path / f"{name}-model", tiny_model, layers, hidden)
        found.append(peak_of_a_rank(model, tmp_path / name))
    (small, small_plan), (large, large_plan) = found
    print(f"measured {(large - small) / 2**30:.2f} GiB, planned {(large_plan - small_plan) / 2**30:.2f}")
    assert large_plan - small_plan == pytest.approx(large - small, rel=0.06)
