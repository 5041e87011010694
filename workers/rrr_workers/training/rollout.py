"""What happens between two weight updates: reflections are sampled, then retries, which only feed the reward.

TRL calls :meth:`Rollout.reflect` (its ``rollout_func``) and then :meth:`Rollout.retry` (its reward function). The
prompts that TRL passes around are the failures' places in the list, as text: token ids are made here, once, by the
episode's own builders, and the ids that were sampled are the ids that are trained.
"""

from array import array
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from transformers import PreTrainedTokenizerBase
from vllm import SamplingParams

from rrr_workers.config import Config
from rrr_workers.engines.base import PromptTooLong, fits
from rrr_workers.episode import reflection_messages, retry_messages
from rrr_workers.splits import derive_seed
from rrr_workers.tasks.base import Message, Task
from rrr_workers.training.engine import Sample
from rrr_workers.training.failures import Failure

Tokens = Sequence[int]


class Rollout:
    """Samples and judges for the trainer. ``span_of`` holds the current batch: sequence -> place of its reflection."""

    def __init__(self, config: Config, task: Task, failures: Sequence[Failure], tokenizer: PreTrainedTokenizerBase):
        self._config = config
        self._task = task
        self._tokenizer = tokenizer
        encoded = [(failure, self._encode_reflection_prompt(failure)) for failure in failures]
        fitting = [(failure, ids) for failure, ids in encoded if ids is not None]
        self._failures = [failure for failure, _ in fitting]
        self._prompts = [ids for _, ids in fitting]
        self.span_of: dict[tuple[int, ...], range] = {}
        self.sampled_tokens = 0

    @property
    def failures(self) -> int:
        """How many failures there are to reflect on: those whose prompt fits the model. Prompts are their places."""
        return len(self._failures)

    def reflect(self, prompts: Sequence[str], trainer: Any) -> dict[str, list[Any]]:
        """Token ids and log-probabilities of one reflection a prompt; each has a seed of its own (step, row)."""
        prompt_ids = [list(self._prompts[int(prompt)]) for prompt in prompts]
        params = [
            SamplingParams(
                temperature=self._config.sampling.temperature,
                # Always 1: the trainer's probabilities are those of the whole vocabulary.
                top_p=1.0,
                max_tokens=self._config.sampling.max_reflection_tokens,
                seed=self._seed(trainer, "train-reflection", row),
                logprobs=0,  # of the sampled token alone
            )
            for row in range(len(prompts))
        ]
        samples = self._sample(trainer, prompt_ids, params)
        self.span_of = {
            (*ids, *sample.token_ids): range(len(ids), len(ids) + len(sample.token_ids))
            for ids, sample in zip(prompt_ids, samples, strict=True)
        }
        return {
            "prompt_ids": prompt_ids,
            "completion_ids": [sample.token_ids for sample in samples],
            "logprobs": [sample.logprobs for sample in samples],
            "reflection": [sample.text for sample in samples],
        }

    def retry(
        self, trainer: Any, prompts: Sequence[str], reflections: Sequence[str], log_metric: Callable[[str, float], None]
    ) -> list[float | None]:
        """The reward of each reflection: the share of its retries that pass, None where none could be made.

        A verifier that raises is a bug and ends the run: it is never a reward of 0.
        """
        attempts = self._config.train.retries_per_reflection
        failures = [self._failures[int(prompt)] for prompt in prompts]
        retry_ids = [
            self._encode(retry_messages(self._task, failure.query, failure.answer, reflection), failure)
            for failure, reflection in zip(failures, reflections, strict=True)
        ]
        fitting = [row for row, ids in enumerate(retry_ids) if self._fits(ids, self._config.sampling.max_answer_tokens)]
        if not fitting:
            raise PromptTooLong(
                f"no retry of step {trainer.state.global_step + 1} fits model.max_model_len "
                f"({self._config.model.max_model_len})"
            )
        asked = [(row, attempt) for row in fitting for attempt in range(attempts)]
        params = [
            SamplingParams(
                temperature=self._config.sampling.temperature,
                top_p=self._config.sampling.top_p,
                max_tokens=self._config.sampling.max_answer_tokens,
                seed=self._seed(trainer, "train-retry", row, attempt),
                skip_special_tokens=self._task.skip_special_tokens,
            )
            for row, attempt in asked
        ]
        passed = dict.fromkeys(fitting, 0)
        samples = self._sample(trainer, [retry_ids[row] for row, _ in asked], params)
        for (row, _), sample in zip(asked, samples, strict=True):
            passed[row] += self._task.judge(failures[row].query, sample.text, sample.finish_reason).passed
        rewards = [passed[row] / attempts if row in passed else None for row in range(len(prompts))]
        log_metric("second_try", sum(passed.values()) / len(samples))
        if self._config.train.reward == "shuffled":
            Random(self._seed(trainer, "train-shuffle")).shuffle(rewards)
        return rewards

    def _sample(self, trainer: Any, prompt_ids: Sequence[Tokens], params: list[SamplingParams]) -> list[Sample]:
        samples: list[Sample] = trainer.vllm_generation.sample(prompt_ids, params)
        self.sampled_tokens += sum(len(sample.token_ids) for sample in samples)
        return samples

    def _seed(self, trainer: Any, purpose: str, *place: int) -> int:
        process = trainer.accelerator.process_index
        return derive_seed(self._config.seed, purpose, trainer.state.global_step, process, *place)

    def _encode_reflection_prompt(self, failure: Failure) -> "array[int] | None":
        """Token ids, None where the prompt doesn't fit the model."""
        ids = self._encode(reflection_messages(self._task, failure.query, failure.answer), failure)
        return array("i", ids) if self._fits(ids, self._config.sampling.max_reflection_tokens) else None

    def _fits(self, ids: Tokens, max_tokens: int) -> bool:
        return fits(len(ids), max_tokens, self._config.model.max_model_len)

    def _encode(self, messages: Sequence[Message], failure: Failure) -> list[int]:
        ids: list[int] = self._tokenizer.apply_chat_template(
            list(messages), tools=self._task.tools(failure.query), add_generation_prompt=True, return_dict=False
        )
        return ids
