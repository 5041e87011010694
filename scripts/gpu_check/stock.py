"""Training without vLLM: TRL's own GRPOTrainer with rrr's arguments, on made-up reflections of full length.

    python -m gpu_check.stock      (the frames of a trainer's pipe; RRR_CHECK_TRAIN: a file with {config, params})

It needs torch, transformers, accelerate, peft and TRL alone. What of rrr's training imports without vLLM and pydantic
is used as it is: the arguments (training/config.py), the adapters (lora.py), the sharding (sharding.py) and the check
of the loss mask (checks.py). A run whose log-probabilities are not float32 fails.
"""

import json
import math
import os
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from random import Random
from types import ModuleType, SimpleNamespace
from typing import Any

from .on_cpu import shard_if_asked

_PROMPT_TOKENS = 64


class Pipe:
    """Frames to the check, from rank 0 alone; standard output is standard error from then on."""

    def __init__(self) -> None:
        self._file = os.fdopen(os.dup(1), "wb", buffering=0) if rank() == 0 else None
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        self.stopping = threading.Event()

    def send(self, frame: Mapping[str, Any]) -> None:
        if self._file:
            self._file.write(json.dumps(frame).encode() + b"\n")

    def emit(self, event: Mapping[str, Any]) -> None:
        self.send({"type": "event", "id": 1, "event": event})

    def watch(self) -> None:
        def read() -> None:
            for line in sys.stdin:
                if json.loads(line)["type"] == "stop":
                    self.stopping.set()

        threading.Thread(target=read, name="stdin", daemon=True).start()


def rank() -> int:
    return int(os.environ.get("RANK", "0"))


def import_without_vllm() -> Any:
    """rrr_workers.training.config, which asks what vLLM is installed, and names a type of pydantic's."""
    if find_spec("pydantic") is None:
        stand_in = ModuleType("rrr_workers.config")
        stand_in.Config = Any  # type: ignore[attr-defined]
        sys.modules["rrr_workers.config"] = stand_in
    import torch

    config: Any = import_module("rrr_workers.training.config")
    config.is_cpu_backend = lambda: not torch.cuda.is_available()
    return config


def main() -> None:
    pipe = Pipe()
    if listening := os.environ.pop("RRR_STORE_FD", None):
        os.close(int(listening))  # torch makes its own store at that port
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    if "WORLD_SIZE" not in os.environ:
        os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    pipe.send({"type": "hello", "protocol": 0})
    pipe.send({"type": "ready"})
    if rank() == 0:
        pipe.watch()
    task = json.loads(Path(os.environ["RRR_CHECK_TRAIN"]).read_text(), object_hook=lambda each: SimpleNamespace(**each))
    try:
        step = train(task.config, task.params, pipe)
    except Exception as error:  # noqa: BLE001 - the boundary: the check reports it
        traceback.print_exc()
        info = {"type": "bug", "message": f"{type(error).__name__}: {error}", "retryable": False}
        pipe.send({"type": "error", "id": 1, "error": info})
        sys.stderr.flush()
        os._exit(1)
    pipe.send({"type": "result", "id": 1, "value": {"step": step, "stopped": step < task.config.train.steps}})
    sys.stderr.flush()
    os._exit(0)


def train(config: Any, params: Any, pipe: Pipe) -> int:
    training = import_without_vllm()
    import torch
    from datasets import Dataset
    from transformers import AutoTokenizer, TrainerCallback
    from trl import GRPOTrainer

    from rrr_workers.training.checkpoints import let_cpu_ranks_load
    from rrr_workers.training.checks import check_mask
    from rrr_workers.training.lora import lora_config
    from rrr_workers.training.sharding import check_sharded, shard

    shard_if_asked()
    let_cpu_ranks_load()
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    sharded = config.train.sharding == "fsdp2"
    arguments = training.grpo_config(config, Path(params.output) / "checkpoints", ranks)
    arguments.beta = 0.0 if sharded else config.train.beta
    tokenizer = AutoTokenizer.from_pretrained(config.model.name)
    span_of: dict[tuple[int, ...], range] = {}

    def roll_out(prompts: Sequence[str], trainer: Any) -> dict[str, list[Any]]:
        length, size = config.sampling.max_reflection_tokens, len(tokenizer)
        words = range(len(tokenizer) // 2, size)
        first = trainer.accelerator.process_index * len(prompts)
        made: dict[str, list[Any]] = {"prompt_ids": [], "completion_ids": [], "logprobs": [], "passed": []}
        for row, prompt in enumerate(prompts, first):
            draws = Random(f"{trainer.state.global_step} {row}")
            ids = Random(prompt).choices(words, k=_PROMPT_TOKENS)
            made["prompt_ids"].append(ids)
            made["completion_ids"].append(completion := draws.choices(words, k=length))
            made["logprobs"].append([-math.log(size)] * length)  # about that of any token
            made["passed"].append(draws.random())
            span_of[(*ids, *completion)] = range(len(ids), len(ids) + length)
        longest = _PROMPT_TOKENS + length
        spent = {"seconds": 0.0, "tokens": len(prompts) * longest, "longest": longest}
        pipe.emit({"kind": "sampled", "step": trainer.state.global_step + 1, **spent})
        return made

    def passed_share(passed: Sequence[float], **_: Any) -> list[float]:
        return list(passed)

    class Trainer(GRPOTrainer):  # type: ignore[misc]  # TRL is untyped
        mask_checked = False

        def _generate_and_score_completions(self, inputs: Any) -> Any:
            batch = super()._generate_and_score_completions(inputs)
            if (found := batch["old_per_token_logps"].dtype) != torch.float32:
                raise TypeError(f"log-probabilities are {found}")
            return batch

        def _prepare_inputs(self, generation_batch: Any) -> Any:
            inputs = super()._prepare_inputs(generation_batch)
            if not self.mask_checked:
                checked = check_mask(self, inputs, span_of)
                pipe.emit({"kind": "self_check", "inside": checked.inside, "outside": checked.outside})
                self.mask_checked = True
            return inputs

        def _prepare_for_training(self, *args: Any, **kwargs: Any) -> Any:
            prepared = super()._prepare_for_training(*args, **kwargs)
            if sharded:
                check_sharded(self.model)
            return prepared

    class Watch(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.begun = time.monotonic()

        def on_step_end(self, _: Any, __: Any, control: Any, **___: Any) -> None:
            flag = torch.tensor([float(pipe.stopping.is_set())], device=trainer.accelerator.device)
            if trainer.accelerator.gather(flag).max().item():
                control.should_save = control.should_training_stop = True

        def on_log(self, _: Any, state: Any, __: Any, logs: Any = None, **___: Any) -> None:
            if logs and "loss" in logs:
                told = {"step": state.global_step, "seconds": time.monotonic() - self.begun}
                pipe.emit({"kind": "step", **told, "grad_norm": logs["grad_norm"]})

        def on_save(self, _: Any, state: Any, __: Any, **___: Any) -> None:
            path = Path(arguments.output_dir) / f"checkpoint-{state.global_step}"
            pipe.emit({"kind": "checkpoint", "step": state.global_step, "path": str(path)})

    count = config.train.steps * config.train.batch_size // config.train.num_generations
    trainer = Trainer(
        model=config.model.name,
        args=arguments,
        processing_class=tokenizer,
        train_dataset=Dataset.from_dict({"prompt": [str(index) for index in range(count)]}),
        peft_config=lora_config(config),
        rollout_func=roll_out,
        reward_funcs=passed_share,
        callbacks=[Watch()],
    )
    if sharded:
        shard(trainer, config.model.name, training.compute_dtype(config), config.train.beta)
    # With an engine TRL computes the old log-probabilities, which cost a forward pass and memory.
    trainer.use_vllm, trainer._last_loaded_step = True, -1
    trainer.vllm_generation = SimpleNamespace(sync_weights=lambda: None)
    last = max(Path(arguments.output_dir).glob("checkpoint-*"), default=None) if params.resume else None
    if last:
        pipe.emit({"kind": "resumed", "step": int(last.name.rpartition("-")[2]), "path": str(last)})
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    return int(trainer.state.global_step)


if __name__ == "__main__":
    main()
