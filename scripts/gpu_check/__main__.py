"""Checks rrr on this machine's GPUs: sampling, training, resuming, stale weights. Started by scripts/gpu-check.sh.

Models of Qwen2.5's shapes with random weights write answers of which half pass. Each part has its own limit of time.
One that fails, or that would not fit the memory, the disk or the budget, is listed with the reason; the rest goes on.

    sampling   answers by the sampling worker, one GPU
    plain      three training steps, all weights, on all GPUs (DDP where there are several)
    sharded    the same with train.sharding: fsdp2, where there are several GPUs
    lora       the same with adapters, on one GPU; of the 7B model where it fits
    resume     the first of these that passes stops after its third step, with a checkpoint, and then makes a fourth
    stale      in its fifth step the last rank's engine drops a weight update: the run must stop

Every step samples with vLLM, and has passed the exact check of the weight update before. Without a checkpoint of its
own a run of a small model ends with its model written, and that of a larger one is killed after the third step.

The last line is JSON, also in DIR/report.json:

    step_s         mean seconds of the second and third step, by part
    memory_gib     measured: the most that a GPU held beyond what it held before; planned: by training/memory.py
    logprob_gap    the largest mean difference between the engine's log-probabilities and the trainer's
    mfu            model FLOPs utilization of the second and third step, as plan.mfu computes it
"""

import argparse
import json
import signal
import subprocess
import sys
from pathlib import Path

from . import cards as gpus
from .cards import Card
from .check import Check
from .plan import ROOT


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/gpu-check.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--no-engine", action="store_true", help="without vLLM: TRL's own trainer, made-up reflections")
    parser.add_argument("--model", choices=("1.5b", "7b", "both"), default="both")
    parser.add_argument("--budget-s", type=float, default=540, help="seconds that all parts may take (default 540)")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "gpu-check", help="logs, models (kept), the report")
    parser.add_argument("--on-cpu", action="store_true", help=argparse.SUPPRESS)  # a tiny model, for the tests
    options = parser.parse_args()
    options.out = options.out.resolve()
    return options


def _find_cards() -> tuple[list[Card], str]:
    """And the version of CUDA that torch is built for. Ends the program where torch sees no GPU."""
    ask = "import torch; print(torch.cuda.device_count(), torch.version.cuda)"
    told = subprocess.run([sys.executable, "-c", ask], stdout=subprocess.PIPE, text=True, check=False).stdout.split()
    if not told or told[0] == "0":
        why = "its torch is a build for CPUs" if told[1:] == ["None"] else "its torch finds none"
        print(f"no GPU for {sys.executable}: {why}", file=sys.stderr)
        raise SystemExit(2)
    return gpus.find_cards()[: int(told[0])], told[1]


def main() -> None:
    options = _parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that workers are ended
    cards, cuda = ([], "none") if options.on_cpu else _find_cards()
    check = Check(options, cards)
    check.report.versions["cuda"] = cuda
    check.run()
    text = json.dumps(vars(check.report))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "report.json").write_text(text + "\n")
    print(text)
    raise SystemExit(1 if check.report.failed else 0)


if __name__ == "__main__":
    main()
