"""The resolved config as the Python side reads it: the mirror of src/config/schema.ts, where keys are documented.

Only complete configs arrive here (the command line fills in every default), so no field has a default of its own
beyond "absent": a key that one side knows and the other doesn't is an error at start, not a silent difference.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError


class ConfigError(ValueError):
    """The resolved config doesn't fit this version of the workers."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Model(_Section):
    name: str
    revision: str | None = None
    dtype: Literal["auto", "float32", "bfloat16", "float16"]
    max_model_len: int


class PromptOverrides(_Section):
    system: str | None = None
    question: str | None = None
    reflection: str | None = None
    retry: str | None = None


class Verifier(_Section):
    command: list[str]
    timeout_s: float


class TaskSection(_Section):
    name: str
    options: dict[str, Any]
    prompts: PromptOverrides
    verifier: Verifier | None = None


class Data(_Section):
    source: Literal["hub", "jsonl", "parquet", "generator"]
    path: str | None = None
    dataset: str | None = None
    subset: str | None = None
    hub_split: str
    rows: int | None = None
    columns: dict[str, str]
    on_bad_row: Literal["fail", "skip"]
    test_fraction: float
    train_fraction: float
    train_rows: int | None = None
    test_rows: int | None = None


class Sampling(_Section):
    temperature: float
    top_p: float
    max_answer_tokens: int
    max_reflection_tokens: int


class OpenAI(_Section):
    base_urls: list[str]
    model: str | None = None
    api_key_env: str
    max_retries: int


class Workers(_Section):
    engine: Literal["vllm", "openai"]
    count: int
    devices: list[str] | None = None
    tensor_parallel: int
    max_in_flight: int
    ready_timeout_s: float
    call_timeout_s: float
    stop_grace_s: float
    max_restarts: int
    gpu_memory_utilization: float
    cpu_kv_cache_gib: float
    enforce_eager: bool
    prefix_caching: bool
    openai: OpenAI | None = None


class Failures(_Section):
    max_draws: int
    failures_per_query: int
    keep: Literal["any", "all"]


class Train(_Section):
    steps: int
    batch_size: int
    micro_batch_size: int
    num_generations: int
    retries_per_reflection: int
    reward: Literal["verifier", "shuffled"]
    learning_rate: float
    lr_scheduler: Literal["cosine", "linear", "constant", "constant_with_warmup"]
    warmup_ratio: float
    beta: float
    epsilon: float
    loss_type: Literal["grpo", "bnpo", "dr_grpo", "dapo"]
    scale_rewards: Literal["group", "batch", "none"]
    max_grad_norm: float
    gradient_checkpointing: bool
    checkpoint_every: int
    keep_checkpoints: int
    max_logprob_difference: float
    max_restarts: int
    step_timeout_s: float
    gpu_memory_utilization: float


class Eval(_Section):
    model: str | None = None
    modes: list[Literal["sampled", "greedy"]]
    examples: int


class Config(_Section):
    seed: int
    python: str | None = None
    model: Model
    task: TaskSection
    data: Data
    sampling: Sampling
    workers: Workers
    failures: Failures
    train: Train
    eval: Eval


def parse_config(resolved: dict[str, Any]) -> Config:
    """Resolved JSON -> :class:`Config`. Raises :class:`ConfigError` naming every key that doesn't fit."""
    try:
        return Config.model_validate(resolved)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, issue['loc']))}: {issue['msg']}" for issue in error.errors()]
        raise ConfigError("the resolved config does not fit these workers:\n  " + "\n  ".join(lines)) from None
