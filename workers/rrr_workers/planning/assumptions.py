"""What a plan can't know and takes for given. Each has a name, by which ``rrr plan --assume NAME=VALUE`` sets it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from rrr_workers.config import Config
from rrr_workers.errors import UserError

#: Rows of the data sets of the paper, on the hub.
_HUB_ROWS = {"Salesforce/xlam-function-calling-60k": 60_000, "Jiayi-Pan/Countdown-Tasks-3to4": 450_000}
#: question, answer, reflection and request tokens by task, for chat templates and prompts of rrr's own.
_TOKENS = {"countdown": (125, 300, 120, 55), "function_calling": (550, 70, 120, 45)}


@dataclass(frozen=True)
class Assumptions:
    """Each field is documented in :data:`_WHY`, which is what a plan shows beside its value."""

    failure_rate: float
    train_queries: float
    test_queries: float
    question_tokens: float
    answer_tokens: float
    reflection_tokens: float
    request_tokens: float
    spread: float = 1.0
    prefix_hits: float = 0.75
    mfu: float = 0.13
    prefill_mfu: float = 0.4
    bandwidth_share: float = 0.6
    engine_ms: float = 5.6
    longest: float = 3.0
    update_s: float = 0.4
    start_s: float = 120.0
    network_gb_s: float = 40.0

    @property
    def reflection_prompt(self) -> float:
        """Tokens: the question, the failed answer and the request for a reflection."""
        return self.question_tokens + self.answer_tokens + self.request_tokens

    @property
    def retry_prompt(self) -> float:
        return self.reflection_prompt + self.reflection_tokens + self.request_tokens


#: "Measured at 1.5B": by scripts/gpu-check.sh on one H100, docs/measured/h100.json. Up to 256 sequences at once wrote
#: 45,702 tokens/s; a step of 64 reflections of 256 tokens and 128 retries of 64 took 4.68 s, of which 2.28 computed.
_WHY = {
    "failure_rate": "share of first tries that fail: a guess",
    "train_queries": "queries to sample failures of: the config and the data",
    "test_queries": "queries to evaluate on: the config and the data",
    "question_tokens": "tokens of a question with its chat template: an estimate for the task",
    "answer_tokens": "tokens of an answer: an estimate for the task, at most sampling.max_answer_tokens",
    "reflection_tokens": "tokens of a reflection: an estimate, at most sampling.max_reflection_tokens",
    "request_tokens": "tokens of the request for a reflection, and of that for a retry: an estimate for the task",
    "spread": "how alike queries are, alpha + beta of a beta distribution: far below 2 most fail always or never, far "
    "above 2 all fail about as often: a guess",
    "prefix_hits": "share of a reflection's and a retry's prompt found in the prefix cache: 0.70 to 0.82 were measured",
    "mfu": "model FLOPs utilization of the trainer (training/flops.py): measured at 1.5B",
    "prefill_mfu": "the same of vLLM while it reads prompts, or writes for many at once: a guess",
    "bandwidth_share": "share of the memory's bandwidth that vLLM reaches while it writes: a guess",
    "engine_ms": "milliseconds that vLLM takes at least to write a token of each of its sequences: measured at 1.5B",
    "longest": "tokens of the longest reflection or retry of a step over their mean, up to the limit: a guess",
    "update_s": "seconds a step and billion parameters for the engine's new weights and checks: measured at 1.5B",
    "start_s": "seconds until an engine or the trainer is ready: about 80 were measured at 1.5B",
    "network_gb_s": "GB a second between a GPU and those of other machines: 400 Gb/s for each, less a fifth",
}


@dataclass(frozen=True)
class Hints:
    """What the command line knows: queries of the splits, None where only reading the data would tell, and values of
    other assumptions, {value, source} by name."""

    train: int | None
    test: int | None
    known: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def assume(config: Config, hints: Hints, given: Mapping[str, float]) -> tuple[Assumptions, list[dict[str, Any]]]:
    """And what a plan shows of them: name, value, why. Raises :class:`UserError` for a name or value that is none."""
    limits, data = config.sampling, config.data
    shares = (300, limits.max_answer_tokens / 2, limits.max_reflection_tokens / 2, 50)
    question, answer, reflection, request = _TOKENS.get(config.task.name, shares)
    rows = min(_HUB_ROWS.get(data.dataset or "", 0), data.rows or 10**9)
    found = Assumptions(
        failure_rate=0.5,
        train_queries=hints.train if hints.train is not None else round(rows * data.train_fraction),
        test_queries=hints.test if hints.test is not None else round(rows * data.test_fraction),
        question_tokens=question,
        answer_tokens=min(answer, limits.max_answer_tokens),
        reflection_tokens=min(reflection, limits.max_reflection_tokens),
        request_tokens=request,
    )
    found = replace(found, **{name: each["value"] for name, each in hints.known.items()})
    why = _WHY | {name: f"{_about(name)}: {each['source']}" for name, each in hints.known.items()}
    for name, value in given.items():
        if name not in why:
            raise UserError(f"--assume {name}: nothing of that name is assumed", cure=f"name one of {', '.join(why)}")
        most = 1 if name in ("failure_rate", "prefix_hits", "mfu", "prefill_mfu", "bandwidth_share") else 1e12
        least = 0 if name in ("failure_rate", "prefix_hits", "update_s", "start_s") else 1e-3
        if not least <= value <= most:
            raise UserError(f"--assume {name}={value:g}", cure=f"write a number from {least:g} to {most:g}")
        why[name] = f"{_about(name)}: --assume"
    found = replace(found, **given)
    if not found.train_queries or not found.test_queries:
        raise UserError(
            "how many queries there are is only known once the data is read",
            cure="tell it: --assume train_queries=N --assume test_queries=N",
        )
    named = [each.name for each in fields(found)]
    return found, [{"name": name, "value": getattr(found, name), "why": why[name]} for name in named]


def _about(name: str) -> str:
    """What an assumption is, without where its default comes from."""
    return _WHY[name].rpartition(":")[0]
