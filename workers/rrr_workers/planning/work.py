"""How many completions each stage makes, and of how many tokens: expectations, under the plan's assumptions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, lgamma
from typing import Any

from rrr_workers.config import Config
from rrr_workers.planning.assumptions import Assumptions


@dataclass(frozen=True)
class Load:
    """``cached``: tokens of the prompts that the prefix cache holds already."""

    completions: float = 0.0
    prompt_tokens: float = 0.0
    cached: float = 0.0
    completion_tokens: float = 0.0

    def __add__(self, other: "Load") -> "Load":
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Load(*(one + another for one, another in pairs))


def sampled(count: float, prompt: float, completion: float, hits: float) -> Load:
    """``count`` completions of so many tokens each, of whose prompts a share of ``hits`` is cached."""
    return Load(count, count * prompt, count * prompt * hits, count * completion)


def draws_and_kept(config: Config, assumed: Assumptions) -> tuple[float, float]:
    """Draws that a query is expected to take, and the share of queries kept with a failure.

    Its draws fail with a probability of its own, from a beta distribution of mean ``failure_rate`` whose parameters sum
    to ``spread``. ``any``: draws until failures_per_query have failed; ``all``: until one has passed.
    """
    most = config.failures.max_draws
    fails = min(max(assumed.failure_rate, 1e-6), 1 - 1e-6) * assumed.spread
    passes = assumed.spread - fails
    if config.failures.keep == "all":
        draws = sum(_beta_binomial(0, number, passes, fails) for number in range(most))
        return draws, _beta_binomial(0, most, passes, fails)
    wanted = config.failures.failures_per_query
    draws = sum(
        _beta_binomial(failed, number, fails, passes)
        for number in range(most)
        for failed in range(min(wanted, number + 1))
    )
    return draws, 1 - _beta_binomial(0, most, fails, passes)


def _beta_binomial(count: int, of: int, alpha: float, beta: float) -> float:
    """Probability of ``count`` successes in ``of`` draws."""
    choose = lgamma(of + 1) - lgamma(count + 1) - lgamma(of - count + 1)
    return exp(choose + _log_beta(count + alpha, of - count + beta) - _log_beta(alpha, beta))


def _log_beta(alpha: float, beta: float) -> float:
    return lgamma(alpha) + lgamma(beta) - lgamma(alpha + beta)


def failures_load(config: Config, assumed: Assumptions) -> Load:
    draws, _ = draws_and_kept(config, assumed)
    hits = 1 - 1 / draws if config.engine.prefix_caching else 0.0  # later draws of a query have its prompt
    return sampled(assumed.train_queries * draws, assumed.question_tokens, assumed.answer_tokens, hits)


def step_loads(config: Config, assumed: Assumptions) -> tuple[Load, Load]:
    """Reflections and retries of an optimizer step, over all ranks."""
    train, hits = config.train, assumed.prefix_hits if config.engine.prefix_caching else 0.0
    reflections = sampled(train.batch_size, assumed.reflection_prompt, assumed.reflection_tokens, hits)
    retries = train.batch_size * train.retries_per_reflection
    return reflections, sampled(retries, assumed.retry_prompt, assumed.answer_tokens, hits)


def step_limits(config: Config) -> tuple[int, int]:
    """Tokens that a reflection and a retry may have."""
    return config.sampling.max_reflection_tokens, config.sampling.max_answer_tokens


def evaluation_load(config: Config, assumed: Assumptions, arms: Sequence[Mapping[str, Any]]) -> Load:
    """``arms``: as the command line lists them (src/report/arms.ts). Trained models are taken to fail as often as
    untrained ones; those that an endpoint serves cost this machine nothing."""
    config_eval, hits = config.eval, assumed.prefix_hits if config.engine.prefix_caching else 0.0
    served = {baseline.name for baseline in config_eval.baselines if baseline.openai}
    tries = sum(config_eval.samples if mode == "sampled" else 1 for mode in config_eval.modes) * assumed.test_queries
    retried = tries if config_eval.retry == "all" else tries * assumed.failure_rate
    failed = tries * assumed.failure_rate
    rounds = sum(assumed.failure_rate**number for number in range(config_eval.rounds))  # each needs the last to fail
    spent = (assumed.reflection_tokens + assumed.answer_tokens) / assumed.answer_tokens
    total = Load()
    for arm in arms:
        if arm["model"] in served:
            continue
        first, kind = arm["failuresOf"] is None, arm["follows"]["kind"]
        after = retried if first else failed
        if first:
            total += sampled(tries, assumed.question_tokens, assumed.answer_tokens, 0.0)
        if kind == "reflect":
            total += sampled(after * rounds, assumed.reflection_prompt, assumed.reflection_tokens, hits)
            total += sampled(after * rounds, assumed.retry_prompt, assumed.answer_tokens, hits)
        elif kind == "sample":
            more = after * (1 if arm["follows"]["spendAs"] is None else spent)
            total += sampled(more, assumed.question_tokens, assumed.answer_tokens, hits)
        else:
            bare = kind == "bare"
            prompt = assumed.reflection_prompt if bare else assumed.retry_prompt
            total += sampled(after, prompt, assumed.answer_tokens, hits)
    return total
