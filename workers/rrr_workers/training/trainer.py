"""GRPO on reflections: TRL's trainer, with rrr's engine, rollout, checks and checkpoints.

The prompt is task, failed answer and reflection request; the completion is the reflection, so the tokens that TRL
masks in are the reflection's and no others; the retry is sampled beside them and never enters a sequence.

TRL's hooks in the order of a step: ``_prepare_inputs`` -> ``_generate_and_score_completions`` -> the engine's
``sync_weights`` -> ``rollout_func`` -> ``_calculate_rewards`` -> reward function; then the loss, and the callbacks.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from datasets import Dataset
from torch import Tensor
from transformers import PreTrainedTokenizerBase, PrinterCallback
from trl import GRPOConfig, GRPOTrainer

from rrr_workers.config import Config
from rrr_workers.runtime.role import Call
from rrr_workers.training.checkpoints import STAGING, STAMP, publish
from rrr_workers.training.checks import LogprobCheck, check_mask
from rrr_workers.training.config import compute_dtype, logprob_limit
from rrr_workers.training.engine import ColocatedEngine
from rrr_workers.training.events import Events
from rrr_workers.training.lora import adapter_dropouts, lora_config
from rrr_workers.training.rollout import Rollout
from rrr_workers.training.sharding import check_sharded, shard


class ReflectionTrainer(GRPOTrainer):  # type: ignore[misc]  # TRL is untyped
    """``order`` lists the failures of the whole run, a prompt each; ``stamp`` goes into every checkpoint."""

    def __init__(
        self,
        config: Config,
        arguments: GRPOConfig,
        tokenizer: PreTrainedTokenizerBase,
        rollout: Rollout,
        order: Sequence[int],
        call: Call,
        stamp: Mapping[str, Any],
    ):
        self._sharded = config.train.sharding == "fsdp2"
        arguments.beta = 0.0 if self._sharded else config.train.beta
        super().__init__(
            model=config.model.name,
            args=arguments,
            processing_class=tokenizer,
            train_dataset=Dataset.from_dict({"prompt": [str(index) for index in order]}),
            peft_config=lora_config(config),
            rollout_func=rollout.sample,
            reward_funcs=rollout.rewards,
            callbacks=[Events(call, rollout, config.train.checkpoint_minutes)],
        )
        self.remove_callback(PrinterCallback)
        self._config = config
        self._call = call
        self._rollout = rollout
        self._stamp = stamp
        self._mask_checked = False
        self._logprob_check = LogprobCheck(logprob_limit(config))
        self._dropouts = adapter_dropouts(self.model)
        for dropout in self._dropouts:  # TRL has disabled it with the base model's
            dropout.p = config.train.lora.dropout if config.train.lora else 0.0
        if self._sharded:
            shard(self, config.model.name, compute_dtype(config), config.train.beta)
        # TRL would make an engine of its own arguments; this one is put where TRL looks for it.
        self.vllm_generation = ColocatedEngine(config, self.model, self.accelerator, tokenizer)
        self.use_vllm = True
        self._last_loaded_step = -1  # the engine holds the weights of the model's folder: sync before sampling

    def _prepare_for_training(self, *args: Any, **kwargs: Any) -> Any:
        prepared = super()._prepare_for_training(*args, **kwargs)
        if self._sharded:
            check_sharded(self.model)
        return prepared

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        with self._no_dropout():
            batch: dict[str, Any] = super()._generate_and_score_completions(inputs)
        difference = self._logprob_check.check(self, batch)
        self._metrics["train"]["logprob_difference"].append(difference)
        return batch

    @contextmanager
    def _no_dropout(self) -> Iterator[None]:
        """The probabilities that the loss starts from are those of the policy that was sampled."""
        for dropout in self._dropouts:
            dropout.eval()
        yield
        for dropout in self._dropouts:
            dropout.train()

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> Tensor:
        """(batch of all processes, 1)."""
        rewards: Tensor = super()._calculate_rewards(*args, **kwargs)
        if self._config.train.reward == "shuffled":
            return self._rollout.shuffled(rewards, self.state.global_step)
        return rewards

    def _prepare_inputs(self, generation_batch: Any) -> Mapping[str, Any]:
        inputs: Mapping[str, Any] = super()._prepare_inputs(generation_batch)
        if not self._mask_checked:
            self._mask_checked = True
            result = check_mask(self, inputs, self._rollout.span_of)
            self._call.emit({"kind": "self_check", "inside": result.inside, "outside": result.outside})
        return inputs

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """None: TRL's describes another method."""

    def _get_output_dir(self, trial: Any) -> str:
        return str(Path(self.args.output_dir) / STAGING)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()  # each process writes a part
        if self.args.should_save:
            staged = Path(self._get_output_dir(trial)) / f"checkpoint-{self.state.global_step}"
            (staged / STAMP).write_text(json.dumps(self._stamp))
            published = publish(staged, Path(self.args.output_dir), self._config.train.keep_checkpoints)
            self._call.emit({"kind": "checkpoint", "step": self.state.global_step, "path": str(published)})
        self.accelerator.wait_for_everyone()
