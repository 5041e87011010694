"""What happens between two weight updates: reflections are sampled, then retries, which only feed the reward.

TRL calls :meth:`Rollout.reflect` (its ``rollout_func``) and then :meth:`Rollout.retry` (its reward function). The
prompts that TRL passes around are the failures' indices, as text: token ids are made here, once, by the episode's own
builders, and the ids that were sampled are the ids that are trained.
"""

from array import array
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from rrr_workers.engines.base import Completion, PromptTooLong, SamplingParams, fits
from rrr_workers.engines.chat import ChatEncoder
from rrr_workers.episode import Decoding, next_prompt
from rrr_workers.hashing import derive_seed
from rrr_workers.training.failures import Failure

Tokens = Sequence[int]


class Rollout:
    """Samples and judges for the trainer. ``span_of``: where the reflection stands in each sequence of the batch."""

    def __init__(self, decoding: Decoding, failures: Sequence[Failure], encoder: ChatEncoder):
        self._decoding = decoding
        self._config = decoding.config
        self._loaded = decoding.loaded
        self._encoder = encoder
        encoded = [(failure, self._encode_reflection_prompt(failure)) for failure in failures]
        fitting = [(failure, ids) for failure, ids in encoded if ids is not None]
        self._failures = [failure for failure, _ in fitting]
        self._prompts = [ids for _, ids in fitting]
        self.span_of: dict[tuple[int, ...], range] = {}
        self.sampled_tokens = 0

    @property
    def failures(self) -> int:
        """How many failures there are to reflect on: those whose prompt fits the model. Prompts are their indices."""
        return len(self._failures)

    def reflect(self, prompts: Sequence[str], trainer: Any) -> dict[str, list[Any]]:
        """Token ids and log-probabilities of one reflection a prompt; each has a seed of its own (step, row)."""
        prompt_ids = [list(self._prompts[int(prompt)]) for prompt in prompts]
        params = [
            self._decoding.reflection(self._seed(trainer, "train-reflection", row), to_learn=True)
            for row in range(len(prompts))
        ]
        reflections = self._sample(trainer, prompt_ids, params)
        self.span_of = {
            (*ids, *reflection.token_ids): range(len(ids), len(ids) + len(reflection.token_ids))
            for ids, reflection in zip(prompt_ids, reflections, strict=True)
        }
        return {
            "prompt_ids": prompt_ids,
            "completion_ids": [reflection.token_ids for reflection in reflections],
            "logprobs": [reflection.logprobs for reflection in reflections],
            "reflection": [reflection.text for reflection in reflections],
        }

    def retry(
        self, trainer: Any, prompts: Sequence[str], reflections: Sequence[str], log_metric: Callable[[str, float], None]
    ) -> list[float | None]:
        """The reward of each reflection: the share of its retries that pass, None where none could be made.

        A verifier that raises ends the run: it is never a reward of 0.
        """
        retries = self._config.train.retries_per_reflection
        failures = [self._failures[int(prompt)] for prompt in prompts]
        retry_ids = [
            self._encode(failure, reflection) for failure, reflection in zip(failures, reflections, strict=True)
        ]
        fitting = [row for row, ids in enumerate(retry_ids) if self._fits(ids, self._config.sampling.max_answer_tokens)]
        if not fitting:
            raise PromptTooLong(
                f"no retry of step {trainer.state.global_step + 1} fits model.max_model_len "
                f"({self._config.model.max_model_len})"
            )
        asked = [(row, number) for row in fitting for number in range(retries)]
        params = [self._decoding.answer(self._seed(trainer, "train-retry", row, number)) for row, number in asked]
        passed = dict.fromkeys(fitting, 0)
        completions = self._sample(trainer, [retry_ids[row] for row, _ in asked], params)
        for (row, _), done in zip(asked, completions, strict=True):
            passed[row] += self._loaded.judge(failures[row].query, done.text, done.finish_reason).passed
        rewards = [passed[row] / retries if row in passed else None for row in range(len(prompts))]
        log_metric("second_try", sum(passed.values()) / len(completions))
        if self._config.train.reward == "shuffled":
            Random(self._seed(trainer, "train-shuffle")).shuffle(rewards)
        return rewards

    def _sample(self, trainer: Any, prompt_ids: Sequence[Tokens], params: Sequence[SamplingParams]) -> list[Completion]:
        completions: list[Completion] = trainer.vllm_generation.sample(prompt_ids, params)
        self.sampled_tokens += sum(done.tokens for done in completions)
        return completions

    def _seed(self, trainer: Any, purpose: str, *numbers: int) -> int:
        process = trainer.accelerator.process_index
        return derive_seed(self._config.seed, purpose, trainer.state.global_step, process, *numbers)

    def _encode_reflection_prompt(self, failure: Failure) -> "array[int] | None":
        """Token ids, None where the prompt doesn't fit the model."""
        ids = self._encode(failure)
        return array("i", ids) if self._fits(ids, self._config.sampling.max_reflection_tokens) else None

    def _fits(self, ids: Tokens, max_tokens: int) -> bool:
        return fits(len(ids), max_tokens, self._config.model.max_model_len)

    def _encode(self, failure: Failure, *reflection: str) -> list[int]:
        prompt = next_prompt(self._loaded, failure.query, (failure.answer, *reflection))
        return self._encoder.encode(prompt, self._loaded.tools(failure.query))
