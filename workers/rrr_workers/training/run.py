"""One training run, from a file of failures to a model: load, resume, train, save. Every rank runs it."""

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, TrainerCallback

from rrr_workers.config import Config
from rrr_workers.engines.base import PromptTooLong
from rrr_workers.engines.chat import ChatEncoder
from rrr_workers.engines.model_folder import check_folder
from rrr_workers.episode import Decoding
from rrr_workers.errors import UserError
from rrr_workers.hub.fetch import with_model_here
from rrr_workers.runtime.role import Call
from rrr_workers.tasks.loaded import LoadedTask
from rrr_workers.training import group, lora, preflight
from rrr_workers.training.base_card import describe_base
from rrr_workers.training.checkpoints import STAGING, complete_checkpoints, step_of
from rrr_workers.training.config import grpo_config, prompts_per_step
from rrr_workers.training.events import missed_steps
from rrr_workers.training.failures import load_failures, training_order
from rrr_workers.training.model_files import save_model
from rrr_workers.training.rollout import Rollout
from rrr_workers.training.trackers import prepare_trackers
from rrr_workers.training.trainer import ReflectionTrainer


def train(
    config: Config,
    loaded: LoadedTask,
    call: Call,
    day: date | None = None,
    on_first_step: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Answer ``train {failures, output, resume, last_step, accept_versions}``; returns ``trainResult``.

    Blocks until the run ends or is stopped. Of several ranks all do this, and rank 0's call tells of it.
    ``on_first_step``: called when all is loaded, before the first step.
    """
    output = Path(call.params["output"])
    output.mkdir(parents=True, exist_ok=True)
    checkpoints, model = output / "checkpoints", output / "model"
    last = _last_checkpoint(checkpoints, resume=call.params["resume"])
    if last:
        for event in missed_steps(last, call.params.get("last_step", step_of(last))):
            call.emit(event)
    if last and model.exists() and step_of(last) == config.train.steps:
        return {"step": config.train.steps, "stopped": False, "model": str(model)}
    if group.rank() == 0:
        shutil.rmtree(checkpoints / STAGING, ignore_errors=True)
    here = with_model_here(config)
    check_folder(Path(here.model.name), config.model.max_model_len)
    stamp = preflight.make_stamp(config)
    micro_batch_size = preflight.check(config, output)
    if last:
        preflight.check_stamp(last, stamp, accept_versions=call.params.get("accept_versions", False))

    tokenizer = AutoTokenizer.from_pretrained(config.model.name, revision=config.model.revision)
    loaded.use_tokenizer(tokenizer)
    failures = load_failures(Path(call.params["failures"]))
    rollout = Rollout(Decoding(config, loaded), failures, ChatEncoder(tokenizer, config.model.name, day))
    if not rollout.failures:
        raise PromptTooLong(f"no reflection's prompt fits model.max_model_len ({config.model.max_model_len})")
    if rollout.failures < len(failures):
        call.emit({"kind": "left_out", "failures": len(failures) - rollout.failures})
    order = training_order(rollout.failures, config.train.steps * prompts_per_step(config), config.seed)
    prepare_trackers(output)
    try:
        arguments = grpo_config(here, checkpoints, group.world_size(), micro_batch_size)
        trainer = ReflectionTrainer(here, arguments, tokenizer, rollout, order, call, stamp)
        trainer.add_callback(_FirstStep(on_first_step))
        (stopping,) = group.sum_over_ranks(call.stopping.is_set())
        if stopping:  # while the model was loaded
            return {"step": step_of(last) if last else 0, "stopped": True, "model": None}
        if config.train.lora:
            bound = lora.count_bound(trainer.model)
            call.emit({"kind": "adapter", "modules": bound.modules, "trained": bound.parameters, "all": bound.all})
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
    # Before the model is there: who finds it finished doesn't come by here again.
    call.emit({"kind": "base", **describe_base(config.model.name, config.model.revision)})
    drift = save_model(config, trainer, tokenizer, output)
    if drift is not None:
        call.emit({"kind": "merged", "drift": drift})
    return {"step": step, "stopped": False, "model": str(model)}


def _last_checkpoint(folder: Path, *, resume: bool) -> Path | None:
    found = complete_checkpoints(folder)
    if found and not resume:
        raise UserError(
            f"{folder} holds checkpoints of an earlier run", cure="add --resume, or use another run directory"
        )
    return found[-1] if found else None


class _FirstStep(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    def __init__(self, tell: Callable[[], None]):
        self._tell = tell

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self._tell()
