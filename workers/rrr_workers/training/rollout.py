"""The method: what happens between two weight updates, from a batch of failures to the rewards of their reflections.

TRL calls :meth:`Rollout.sample` (its ``rollout_func``). Reflections are sampled, then retries, which only feed the
reward: TRL trains on the reflections' tokens, and gets the rewards back from :meth:`Rollout.rewards` (its reward
function). The prompts that TRL passes around are the failures' indices, as text: token ids are made here, once, by the
episode's own builders, and the ids that were sampled are the ids that are trained.
"""

from array import array
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from torch import Tensor

from rrr_workers.engines.base import Completion, PromptTooLong, SamplingParams, fits
from rrr_workers.engines.chat import ChatEncoder
from rrr_workers.episode import Decoding, next_prompt
from rrr_workers.hashing import derive_seed
from rrr_workers.training.failures import Failure
from rrr_workers.training.group import sum_over_ranks

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
        self._second_try = 0.0

    @property
    def failures(self) -> int:
        """How many failures there are to reflect on: those whose prompt fits the model. Prompts are their indices."""
        return len(self._failures)

    def sample(self, prompts: Sequence[str], trainer: Any) -> dict[str, list[Any]]:
        """One reflection a prompt, token ids and log-probabilities, and what its retries earn. ``prompts`` are this
        process's rows of the batch. Each sample has a seed of its own (step, row of the whole batch), whatever the
        number of processes."""
        engine, step = trainer.vllm_generation, trainer.state.global_step
        first_row = trainer.accelerator.process_index * len(prompts)
        failures = [self._failures[int(prompt)] for prompt in prompts]
        prompt_ids = [list(self._prompts[int(prompt)]) for prompt in prompts]
        engine.wake(step)
        reflections = self._reflect(engine, step, first_row, prompt_ids)
        rewards = self._retry(engine, step, first_row, failures, [reflection.text for reflection in reflections])
        engine.rest()
        self.span_of = {
            (*ids, *reflection.token_ids): range(len(ids), len(ids) + len(reflection.token_ids))
            for ids, reflection in zip(prompt_ids, reflections, strict=True)
        }
        return {
            "prompt_ids": prompt_ids,
            "completion_ids": [reflection.token_ids for reflection in reflections],
            "logprobs": [reflection.logprobs for reflection in reflections],
            "retry_reward": rewards,
        }

    def rewards(
        self, retry_reward: list[float | None], log_metric: Callable[[str, float], None], **_: Any
    ) -> list[float | None]:
        """What :meth:`sample` found, handed back by TRL."""
        log_metric("second_try", self._second_try)
        return retry_reward

    def shuffled(self, rewards: Tensor, step: int) -> Tensor:
        """The control that must not teach: the rows of ``rewards``, (batch, functions), in another order. It is one
        order of the whole batch: within the rows of one process it would still favour the reflections that pass."""
        order = list(range(rewards.size(0)))
        Random(self._seed("train-shuffle", step)).shuffle(order)
        return rewards[order]

    def _reflect(self, engine: Any, step: int, first_row: int, prompt_ids: Sequence[Tokens]) -> list[Completion]:
        seeds = [self._seed("train-reflection", step, first_row + row) for row in range(len(prompt_ids))]
        return self._sample(engine, prompt_ids, [self._decoding.reflection(seed, to_learn=True) for seed in seeds])

    def _retry(
        self, engine: Any, step: int, first_row: int, failures: Sequence[Failure], reflections: Sequence[str]
    ) -> list[float | None]:
        """The reward of each reflection: the share of its retries that pass, None where none could be made.

        A verifier that raises ends the run: it is never a reward of 0.
        """
        retries = self._config.train.retries_per_reflection
        ids = [self._encode(failure, reflection) for failure, reflection in zip(failures, reflections, strict=True)]
        fitting = [row for row, each in enumerate(ids) if self._fits(each, self._config.sampling.max_answer_tokens)]
        asked = [(row, number) for row in fitting for number in range(retries)]
        params = [self._decoding.answer(self._seed("train-retry", step, first_row + row, n)) for row, n in asked]
        completions = self._sample(engine, [ids[row] for row, _ in asked], params)
        verdicts = self._loaded.judge_all(
            [
                (failures[row].query, done.text, done.finish_reason)
                for (row, _), done in zip(asked, completions, strict=True)
            ]
        )
        passed = dict.fromkeys(fitting, 0)
        for (row, _), verdict in zip(asked, verdicts, strict=True):
            passed[row] += verdict.passed
        right, made = sum_over_ranks(sum(passed.values()), len(asked))
        if not made:
            raise PromptTooLong(
                f"no retry of step {step + 1} fits model.max_model_len ({self._config.model.max_model_len})"
            )
        self._second_try = right / made
        return [passed[row] / retries if row in passed else None for row in range(len(failures))]

    def _sample(self, engine: Any, prompt_ids: Sequence[Tokens], params: Sequence[SamplingParams]) -> list[Completion]:
        completions: list[Completion] = engine.sample(prompt_ids, params)
        self.sampled_tokens += sum(done.tokens for done in completions)
        return completions

    def _seed(self, purpose: str, step: int, *numbers: int) -> int:
        return derive_seed(self._config.seed, purpose, step, 0, *numbers)  # 0: keeps the seeds of earlier runs

    def _encode_reflection_prompt(self, failure: Failure) -> "array[int] | None":
        """Token ids, None where the prompt doesn't fit the model."""
        ids = self._encode(failure)
        return array("i", ids) if self._fits(ids, self._config.sampling.max_reflection_tokens) else None

    def _fits(self, ids: Tokens, max_tokens: int) -> bool:
        return fits(len(ids), max_tokens, self._config.model.max_model_len)

    def _encode(self, failure: Failure, *reflection: str) -> list[int]:
        prompt = next_prompt(self._loaded, failure.query, (failure.answer, *reflection))
        return self._encoder.encode(prompt, self._loaded.tools(failure.query))
