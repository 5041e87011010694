"""scripts/gpu-check.sh without a GPU: the whole of it on a tiny model, and what it says of machines it can't check."""

import json
import os
import subprocess
import sys
import time
from dataclasses import MISSING, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness import PACKAGE, TESTS
from rrr_workers.engines.vllm_args import is_cpu_backend
from rrr_workers.planning.assumptions import Assumptions
from rrr_workers.planning.cards import GIB, Hardware, find_gpu
from rrr_workers.planning.hours import Engine, sampling_seconds, step_seconds
from rrr_workers.planning.work import Load

SCRIPTS = PACKAGE.parent / "scripts"
sys.path.insert(0, str(SCRIPTS))

from gpu_check import cards, plan  # noqa: E402
from gpu_check.check import Check  # noqa: E402
from gpu_check.outcomes import Failed, Late, Skipped  # noqa: E402
from gpu_check.report import Parts  # noqa: E402
from gpu_check.trained import Trained  # noqa: E402

KEYS = {
    *("versions", "cards", "engine", "tokens_per_s", "step_s", "memory_gib", "logprob_gap", "mfu", "seconds"),
    *("skipped", "failed"),
}
H100 = cards.Card("NVIDIA H100 80GB HBM3", 81559 * 2**20, "580.1")


def gpu_check(*options: str, **env: str) -> subprocess.CompletedProcess[str]:
    environment = {"RRR_PYTHON": sys.executable, **os.environ, **env}
    command = [str(SCRIPTS / "gpu-check.sh"), *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1200, check=False)


def report_of(done: subprocess.CompletedProcess[str], out: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert report.keys() == KEYS
    assert json.loads((out / "report.json").read_text()) == report
    return report


def reasons(listed: list[dict[str, str]]) -> dict[str, str]:
    return {each["part"]: each["reason"] for each in listed}


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in that lists two cards, of which the second is in use."""
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        "  *memory.used*) printf '0\\n1024\\n' ;;\n"
        f"  *memory.total*) printf '{H100.name}, 81559, 580.1\\nNVIDIA L40S, 46068, 580.1\\n' ;;\n"
        "  *) echo 'GPU 0: a card' ;;\n"
        "esac\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return program


def test_without_a_gpu_one_line_says_so_before_anything_is_started(nvidia_smi: Path) -> None:
    nvidia_smi.write_text("#!/bin/sh\nexit 9\n")
    done = gpu_check(RRR_PYTHON="/nowhere/python")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "no GPU: nvidia-smi finds none\n"


def test_a_gpu_that_torch_does_not_see_is_none(nvidia_smi: Path) -> None:
    done = gpu_check(CUDA_VISIBLE_DEVICES="")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"no GPU for {sys.executable}: its torch")


#: The whole of it takes minutes, more than a test run has for it.
slow = pytest.mark.skipif(not os.environ.get("RRR_SLOW_TESTS"), reason="RRR_SLOW_TESTS=1 runs it")


@slow
@pytest.mark.skipif(not is_cpu_backend(), reason="vLLM is a build for GPUs: run scripts/gpu-check.sh itself")
def test_all_parts_run_on_a_tiny_model(tmp_path: Path) -> None:
    done = gpu_check("--on-cpu", "--budget-s", "1100", "--out", str(tmp_path))
    report = report_of(done, tmp_path)
    assert (done.returncode, report["failed"]) == (0, []), done.stderr
    assert reasons(report["skipped"]) == {"sharded": "it needs several GPUs"}
    assert {"model tiny", "sampling", "plain", "resume", "stale", "lora"} == report["seconds"].keys()
    assert report["engine"].startswith("vllm ")
    assert report["tokens_per_s"] > 0
    assert {"plain", "lora"} == report["step_s"].keys() == report["logprob_gap"].keys() == report["mfu"].keys()
    assert all(gap < 1e-5 for gap in report["logprob_gap"].values())
    assert report["mfu"]["plain"] is None
    assert {"plain", "resume", "lora"} == report["memory_gib"].keys()
    assert all(0 < found["planned"] < 2 and found["measured"] > 0 for found in report["memory_gib"].values())
    assert not list((tmp_path / "runs").glob("*/"))  # checkpoints of real models are large


@slow
def test_without_an_engine_it_needs_neither_vllm_nor_pydantic(tmp_path: Path) -> None:
    """Sharded, too: workers/tests/watched_trainer.py makes accelerate do so on a CPU."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "python")], check=True)
    (target,) = (tmp_path / "python").glob("lib/*/site-packages")
    left_out = ("vllm", "pydantic", "__editable__", "rrr")
    for path in Path(pytest.__file__).parents[1].iterdir():
        if not path.name.startswith(left_out):
            (target / path.name).symlink_to(path)
    env = {"RRR_PYTHON": str(tmp_path / "python" / "bin" / "python"), "PYTHONPATH": str(TESTS), "RRR_TEST_SHARD": "1"}
    done = gpu_check("--on-cpu", "--no-engine", "--budget-s", "1100", "--out", str(tmp_path / "out"), **env)
    report = report_of(done, tmp_path / "out")
    assert (done.returncode, report["failed"]) == (0, []), done.stderr
    assert report["engine"] is None
    assert not any(name.startswith("vllm") for name in report["versions"])
    assert reasons(report["skipped"]) == {"sampling": "--no-engine", "stale": "--no-engine"}
    assert {"plain", "sharded", "lora"} == report["step_s"].keys()
    assert {"plain", "sharded", "resume", "lora"} == report["memory_gib"].keys()


def test_what_the_budget_has_no_room_for_is_skipped(tmp_path: Path) -> None:
    done = gpu_check("--on-cpu", "--budget-s", "2", "--out", str(tmp_path))
    report = report_of(done, tmp_path)
    assert done.returncode == 0
    skipped = reasons(report["skipped"])
    assert {"sampling", "plain", "sharded", "lora", "resume", "stale"} == skipped.keys()
    assert "2 s of the budget are left, and it takes 5 or more" in skipped["sampling"]


@pytest.mark.parametrize(
    ("error", "listed"),
    [(Failed("it broke"), "it broke"), (KeyError("seconds"), "KeyError: 'seconds'")],
)
def test_a_part_that_fails_is_listed_and_the_rest_goes_on(error: Exception, listed: str) -> None:
    parts = Parts([], 60.0, engine=False, on_cpu=True)
    with parts.part("plain"):
        raise error
    with parts.part("lora"):
        pass
    assert parts.report.failed == [{"part": "plain", "reason": listed}]
    assert parts.report.seconds.keys() == {"plain", "lora"}


@pytest.mark.parametrize(("budget_s", "listed"), [(60.0, "failed"), (-1.0, "skipped")])
def test_a_part_that_the_budget_ends_has_not_failed(budget_s: float, listed: str) -> None:
    parts = Parts([], budget_s, engine=False, on_cpu=True)
    with parts.part("plain"):
        raise Late("it took too long")
    assert [each["part"] for each in getattr(parts.report, listed)] == ["plain"]


@pytest.mark.parametrize(
    ("found", "model", "expected"),
    [
        (1, "both", ["plain 1.5b x1 stop 3 of 5", "resume 1.5b x1 drop 2", "lora 7b x1 kill 3"]),
        (1, "1.5b", ["plain 1.5b x1 stop 3 of 5", "resume 1.5b x1 drop 2", "lora 1.5b x1 3 steps"]),
        (1, "7b", ["lora 7b x1 stop 3 of 5", "resume 7b x1 drop 2"]),
        (
            4,
            "both",
            ["plain 1.5b x4 stop 3 of 5", "sharded 7b x4 kill 3", "resume 1.5b x4 drop 2", "lora 7b x1 kill 3"],
        ),
    ],
)
def test_what_is_run_depends_on_the_cards(
    found: int, model: str, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cards, "used", lambda: [2**28] * found)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=2**37))
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=2**37))
    ran: list[str] = []

    class Rehearsal(Check):
        def _model(self, name: str) -> Path:
            return tmp_path

        def _sample(self, model: str) -> None:
            self.report.tokens_per_s = 1.0

        def _watch(self, run: plan.Run, folder: Path, output: Path, steps: int, **how: Any) -> Trained:
            name = how.pop("name", run.name)
            verbs = {"stop_after": "stop", "kill_after": "kill", "drop_update": "drop"}
            ((key, number),) = how.items() or [("", 0)]
            ran.append(f"{name} {run.model} x{run.ranks} " + (f"{verbs[key]} {number}" if key else f"{steps} steps"))
            ran[-1] += f" of {steps}" if key == "stop_after" else ""
            self.report.memory_gib[name] = {"measured": 1.0, "planned": 1.0}
            first = 4 if name == "resume" else 1
            events: list[dict[str, Any]] = [{"kind": "resumed", "step": 3}] if name == "resume" else []
            for step in range(first, 4 if name != "resume" else 5):
                events.append({"kind": "sampled", "step": step, "seconds": 1.0, "tokens": 1000})
                gap = {"logprob_difference": 0.01 * step}
                events.append({"kind": "step", "step": step, "seconds": 2.0, "grad_norm": 0.1, **gap})
            if key == "stop_after":
                events.append({"kind": "checkpoint", "step": 3})
            error = "rank 3: the sampler does not have the trainer's weights at step 5" if name == "resume" else None
            return Trained(events, {"step": 3}, error)

    options = SimpleNamespace(on_cpu=False, no_engine=False, out=tmp_path, model=model, budget_s=540.0)
    check = Rehearsal(options, [H100] * found)  # type: ignore[arg-type]
    check.run()
    assert ran == expected
    assert check.report.failed == []
    assert all(each["part"] in ("sharded", "plain") for each in check.report.skipped), check.report.skipped
    first = expected[0].split()[0]
    assert (check.report.step_s[first], check.report.logprob_gap[first]) == (2.0, 0.03)
    mfu = check.report.mfu[first]
    assert mfu is not None
    assert 0 < mfu < 1


def test_cards_are_those_that_nvidia_smi_lists(nvidia_smi: Path) -> None:
    assert cards.find_cards() == [H100, cards.Card("NVIDIA L40S", 46068 * 2**20, "580.1")]
    assert cards.used() == [0, 2**30]
    with cards.Peak(cards.used, [0, 2**29]) as peak:
        begun = time.monotonic()
        while not peak.most and time.monotonic() - begun < 20:
            time.sleep(0.05)
    assert peak.most == 2**29


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA H200", 989e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA A100 80GB PCIe", 312e12),
        ("NVIDIA L40S", 362e12),
        ("NVIDIA GeForce RTX 4090", 165e12),
        ("NVIDIA GeForce RTX 4090 D", None),
        ("NVIDIA H100 NVL", None),
        ("NVIDIA L40", None),
        ("NVIDIA GH200 480GB", None),
    ],
)
def test_peaks_are_known_for_the_cards_of_the_table(name: str, peak: float | None) -> None:
    assert cards.peak_flops(name) == peak


def run_of(name: str, model: str, ranks: int = 1, **more: Any) -> plan.Run:
    return plan.Run(name, model, plan.ON_GPUS, ranks, **more)


def test_mfu_counts_what_the_model_asks_for() -> None:
    full, adapters = run_of("plain", "1.5b"), run_of("lora", "1.5b", lora=True)
    flops = full.shape.parameters * 1000 * (6 + 2 * 2)  # two forward passes: old log-probabilities, and the reference's
    assert plan.mfu(full, 1000, 2.0, 989e12) == pytest.approx(flops / (2 * 989e12))
    assert plan.mfu(adapters, 1000, 2.0, 989e12) == pytest.approx(0.8 * flops / (2 * 989e12))
    assert plan.mfu(full, 1000, 2.0, None) is None


def test_what_does_not_fit_the_cards_is_skipped() -> None:
    free = H100.memory - 2**31
    assert plan.fitted(run_of("plain", "1.5b"), [H100], free, engine=True).micro_batch == 8
    assert plan.fitted(run_of("lora", "7b", lora=True), [H100], free, engine=True).micro_batch == 8
    four = run_of("sharded", "7b", 4, sharding="fsdp2")
    assert plan.fitted(four, [H100] * 4, free, engine=True).micro_batch == 8
    with pytest.raises(Skipped, match=r"it needs \d+\.\d GiB of a card's memory, and 77.6 are free"):
        plan.fitted(run_of("plain", "7b"), [H100], free, engine=True)
    small = cards.Card("NVIDIA A100-SXM4-40GB", 40 * 2**30, "580.1")
    with pytest.raises(Skipped, match=r"vLLM's share of a card, 30% of 40.0 GiB, is too small for it"):
        plan.fitted(run_of("sharded", "7b", 8, sharding="fsdp2"), [small] * 8, 39 * 2**30, engine=True)
    assert plan.fitted(run_of("sharded", "7b", 8, sharding="fsdp2"), [small] * 8, 39 * 2**30, engine=False)


def test_a_plan_is_what_an_h100_measured() -> None:
    """Memory by the formula, and tokens/s, utilization and seconds by the constants that rrr plan assumes."""
    measured = json.loads((SCRIPTS.parent / "docs" / "measured" / "h100.json").read_text())
    (card,) = [cards.Card(each["name"], int(each["memory_gib"] * GIB), "") for each in measured["cards"]]
    run, gpu = run_of("plain", "1.5b", micro_batch=8), find_gpu(card.name)
    assert gpu is not None
    scale, tokens = run.scale, 302  # of the longest sequence: random weights write on to the limit
    planned = plan.planned_bytes(run, [card], tokens, engine=True) / GIB
    assert planned == pytest.approx(measured["memory_gib"]["plain"]["measured"], rel=0.01)

    defaults = {field.name: field.default for field in fields(Assumptions) if field.default is not MISSING}
    assumed = Assumptions(
        **{**dict.fromkeys((field.name for field in fields(Assumptions)), 0.0), **defaults, "longest": 1}
    )
    assert assumed.mfu == pytest.approx(measured["mfu"]["plain"], rel=0.05)
    engine = Engine("bfloat16", 1, 1, int(0.9 * card.memory), 256)
    load = Load(768, 768 * 20, 0, 768 * scale.reflection)
    seconds = sampling_seconds(run.shape, engine, load, gpu, assumed)
    assert load.completion_tokens / seconds == pytest.approx(measured["tokens_per_s"], rel=0.05)
    prompt = tokens - scale.reflection
    loads = (
        Load(64, 64 * prompt, 0, 64 * scale.reflection),
        Load(128, 128 * (tokens + 8), 128 * tokens, 128 * scale.answer),
    )
    hardware = Hardware(gpu, card.memory, 1, 1, "")
    setup = run.setup(card.memory, engine=True)
    step = step_seconds(run.shape, setup, hardware, gpu, loads, assumed, (scale.reflection, scale.answer))
    assert step.total == pytest.approx(measured["step_s"]["plain"], rel=0.05)
