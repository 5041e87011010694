"""Makes the tiny model: ``python -m rrr_demos.tiny --out DIR [--seed 0] [--steps N]``.

DIR is a model directory (config, safetensors, tokenizer, chat template) that transformers and vLLM open. It is built in
DIR.partial and renamed when complete. The last line on stdout is JSON: path, parameters, seconds, steps.
"""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from . import recipe_hash


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m rrr_demos.tiny", description="Make the tiny model.")
    parser.add_argument("--out", type=Path, help="model directory to make (replaced if it exists)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights and of the transcripts (default 0)")
    parser.add_argument("--steps", type=int, help="training steps (default: the recipe's; few make an unskilled model)")
    parser.add_argument("--print-hash", action="store_true", help="print the recipe's hash and make nothing")
    arguments = parser.parse_args()
    if arguments.print_hash:
        print(recipe_hash(arguments.seed, arguments.steps))
        return
    if arguments.out is None:
        parser.error("--out is required")
    if arguments.steps is not None and arguments.steps < 1:
        parser.error(f"--steps must be at least 1, not {arguments.steps}")
    print(json.dumps(make(arguments.out, arguments.seed, arguments.steps)), flush=True)


def make(out: Path, seed: int, steps: int | None) -> dict[str, str | int | float]:
    """Trains and saves the model; returns what the JSON line says."""
    from .pretrain import make_recipe, train
    from .tokenizer import make_tokenizer

    started = time.monotonic()
    recipe = make_recipe(seed, steps)
    out = out.resolve()
    tokenizer = make_tokenizer()
    report, close = _progress(recipe.steps)
    model = train(recipe, tokenizer, report)
    close()

    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    shutil.rmtree(out, ignore_errors=True)
    partial.rename(out)
    seconds = round(time.monotonic() - started, 1)
    return {"path": str(out), "parameters": model.num_parameters(), "seconds": seconds, "steps": recipe.steps}


def _progress(steps: int) -> tuple[Callable[[int, float], None], Callable[[], None]]:
    """(report, close): a bar on a terminal, a line every tenth of the way elsewhere; on stderr."""
    if not sys.stderr.isatty():

        def report_line(step: int, loss: float) -> None:
            if step == steps or step % max(1, steps // 10) == 0:
                print(f"tiny model: step {step}/{steps}, loss {loss:.3f}", file=sys.stderr, flush=True)

        return report_line, lambda: None

    from tqdm import tqdm

    bar = tqdm(total=steps, desc="tiny model", unit="step", file=sys.stderr)

    def report_bar(step: int, loss: float) -> None:
        bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
        bar.update(step - bar.n)

    return report_bar, bar.close


if __name__ == "__main__":
    main()
