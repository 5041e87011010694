"""One training run, from a file of failures to a model: load, resume, train, save."""

import os
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from rrr_workers.config import Config
from rrr_workers.engines.base import PromptTooLong
from rrr_workers.engines.chat import ChatEncoder
from rrr_workers.episode import Decoding
from rrr_workers.errors import UserError
from rrr_workers.runtime.role import Call
from rrr_workers.tasks.loaded import LoadedTask
from rrr_workers.training.checkpoints import STAGING, complete_checkpoints, step_of, write_folder
from rrr_workers.training.config import compute_dtype, grpo_config, prompts_per_step
from rrr_workers.training.failures import load_failures, training_order
from rrr_workers.training.rollout import Rollout
from rrr_workers.training.trainer import ReflectionTrainer


def train(config: Config, loaded: LoadedTask, call: Call, day: date | None = None) -> dict[str, Any]:
    """Answer ``train {failures, output, resume}``; returns ``trainResult``. Blocks until the run ends or is stopped."""
    output = Path(call.params["output"])
    checkpoints, model = output / "checkpoints", output / "model"
    last = _last_checkpoint(checkpoints, resume=call.params["resume"])
    if last and model.exists() and step_of(last) == config.train.steps:
        return {"step": config.train.steps, "stopped": False, "model": str(model)}
    shutil.rmtree(checkpoints / STAGING, ignore_errors=True)

    tokenizer = AutoTokenizer.from_pretrained(config.model.name, revision=config.model.revision)
    loaded.use_tokenizer(tokenizer)
    failures = load_failures(Path(call.params["failures"]))
    rollout = Rollout(Decoding(config, loaded), failures, ChatEncoder(tokenizer, config.model.name, day))
    if not rollout.failures:
        raise PromptTooLong(f"no reflection's prompt fits model.max_model_len ({config.model.max_model_len})")
    if rollout.failures < len(failures):
        call.emit({"kind": "left_out", "failures": len(failures) - rollout.failures})
    order = training_order(rollout.failures, config.train.steps * prompts_per_step(config), config.seed)
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    try:
        arguments = grpo_config(config, checkpoints, processes)
        trainer = ReflectionTrainer(config, arguments, tokenizer, rollout, order, call)
        if call.stopping.is_set():  # while the model was loaded
            return {"step": step_of(last) if last else 0, "stopped": True, "model": None}
        if last:
            call.emit({"kind": "resumed", "step": step_of(last), "path": str(last)})
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"out of GPU memory: {error}",
            cure="lower train.micro_batch_size or train.gpu_memory_utilization, or set train.gradient_checkpointing",
        ) from error
    step = trainer.state.global_step
    if step < config.train.steps:
        return {"step": step, "stopped": True, "model": None}
    _save_model(config, trainer, tokenizer, model)
    return {"step": step, "stopped": False, "model": str(model)}


def _last_checkpoint(folder: Path, *, resume: bool) -> Path | None:
    found = complete_checkpoints(folder)
    if found and not resume:
        raise UserError(
            f"{folder} holds checkpoints of an earlier run", cure="add --resume, or use another run directory"
        )
    return found[-1] if found else None


def _save_model(config: Config, trainer: ReflectionTrainer, tokenizer: PreTrainedTokenizerBase, target: Path) -> None:
    """The trained model in the dtype that it was sampled in: that is the policy which earned the rewards."""
    trained = trainer.accelerator.unwrap_model(trainer.model).to(getattr(torch, compute_dtype(config)))

    def write(folder: Path) -> None:
        trained.save_pretrained(folder, state_dict=trainer.accelerator.get_state_dict(trainer.model))
        tokenizer.save_pretrained(folder)

    if trainer.args.should_save:
        write_folder(target, write)
