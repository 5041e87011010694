"""GRPO on reflections: TRL's trainer, with rrr's engine, second step, checks and checkpoints.

The prompt is task, failed answer and reflection request; the completion is the reflection, so the tokens that TRL
masks in are the reflection's and no others; the retry is sampled in the reward function and never enters a sequence.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import PreTrainedTokenizerBase, PrinterCallback
from trl import GRPOConfig, GRPOTrainer

from rrr_workers.config import Config
from rrr_workers.runtime.role import Call
from rrr_workers.training.checkpoints import STAGING, publish
from rrr_workers.training.checks import LogprobCheck, check_mask
from rrr_workers.training.engine import ColocatedEngine
from rrr_workers.training.events import Events
from rrr_workers.training.rollout import Rollout


class ReflectionTrainer(GRPOTrainer):  # type: ignore[misc]  # TRL is untyped
    """``order`` lists the failures of the whole run, a prompt each."""

    def __init__(
        self,
        config: Config,
        arguments: GRPOConfig,
        tokenizer: PreTrainedTokenizerBase,
        rollout: Rollout,
        order: Sequence[int],
        call: Call,
    ):
        super().__init__(
            model=config.model.name,
            args=arguments,
            processing_class=tokenizer,
            train_dataset=Dataset.from_dict({"prompt": [str(index) for index in order]}),
            rollout_func=rollout.reflect,
            reward_funcs=self._second_step,
            callbacks=[Events(call, rollout)],
        )
        self.remove_callback(PrinterCallback)
        self._call = call
        self._rollout = rollout
        self._keep_checkpoints = config.train.keep_checkpoints
        self._mask_checked = False
        self._logprob_check = LogprobCheck(config.train.max_logprob_difference)
        # TRL would make an engine of its own arguments; this one is put where TRL looks for it.
        self.vllm_generation = ColocatedEngine(config, self.model, self.accelerator, tokenizer)
        self.use_vllm = True
        self._last_loaded_step = -1  # the engine holds the weights of the model's folder: sync before sampling

    def _second_step(
        self, prompts: list[str], reflection: list[str], log_metric: Callable[[str, float], None], **_: Any
    ) -> list[float | None]:
        return self._rollout.retry(self, prompts, reflection, log_metric)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        batch: dict[str, Any] = super()._generate_and_score_completions(inputs)
        difference = self._logprob_check.check(self, batch)
        self._metrics["train"]["logprob_difference"].append(difference)
        return batch

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
            published = publish(staged, Path(self.args.output_dir), self._keep_checkpoints)
            self._call.emit({"kind": "checkpoint", "step": self.state.global_step, "path": str(published)})
        self.accelerator.wait_for_everyone()
