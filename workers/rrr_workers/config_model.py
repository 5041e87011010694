# Generated from config.schema.json by generate_config.py: change src/config/schema.ts, then run both again.

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    model_config = ConfigDict(
        extra='forbid',
        frozen=True,
    )
    name: str
    revision: str | None = None
    dtype: Literal['auto', 'float32', 'bfloat16', 'float16']
    max_model_len: int


class Prompts(BaseModel):
    model_config = ConfigDict(
        extra='forbid',
        frozen=True,
    )
    system: str | None = None
    question: str | None = None
    reflection: str | None = None
    retry: str | None = None
    bare_retry: str | None = None
    hint: str | None = None


class Verifier(BaseModel):
    model_config = ConfigDict(
        extra='forbid',
        frozen=True,
    )
    command: list[str]
    timeout_s: float
    processes: int


class Task(BaseModel):
    model_config = ConfigDict(
        extra='forbid',
        frozen=True,
    )
    name: str
    options: dict[str, Any]
    prompts: Prompts
    verifier: Verifier | None = None


class Data(BaseModel):
    model_config = ConfigDict(
        extra='forbid',
        frozen=True,
    )
    source: Literal['hub', 'jsonl', 'parquet', 'generator']
    path: str | None = None
    dataset: str | None = None
    subset: str | None = None
    revision: str | None = None
    hub_split: str
    rows: int | None = None
    columns: dict[str, str]
    on_bad_row: Literal['fail', 'skip']
    test_fraction: float
    train_fraction: float
    train_rows: int | None = None
    test_rows: int | None = None


class Sampling(BaseModel):
    model_config = ConfigDict(
        extra='forbid',
        frozen=True,
    )
    temperature: float
    top_p: float
    max_answer_tokens: int
    max_reflection_tokens: int


class Openai(BaseModel):
    model_config = ConfigDict(
        extra='forbid',
        frozen=True,
    )
    base_urls: list[str]
    model: str | None = None
    api_key_env: str
    max_retries: int
    tools: Literal['text', 'native']


class Engine(BaseModel):
    model_config = ConfigDict(
        extra='forbid',
        frozen=True,
    )
    name: Literal['vllm', 'openai']
    tensor_parallel: int
    gpu_memory_utilization: float
    cpu_kv_cache_gib: float
    enforce_eager: bool
    prefix_caching: bool
    openai: Openai | None = None


class Workers(BaseModel):
    model_config = ConfigDict(
        extra='forbid',
        frozen=True,
    )
    count: int
    devices: list[str] | None = None
    max_in_flight: int
    ready_timeout_s: float
    call_timeout_s: float
    stop_grace_s: float
    max_restarts: int


class Failures(BaseModel):
    model_config = ConfigDict(
        extra='forbid',
        frozen=True,
    )
    max_draws: int
    failures_per_query: int
    keep: Literal['any', 'all']


class Lora(BaseModel):
    model_config = ConfigDict(
        extra='forbid',
        frozen=True,
    )
    rank: int
    alpha: int
    dropout: float
    targets: list[str]
    base_dtype: Literal['float32', 'bfloat16']


class Train(BaseModel):
    model_config = ConfigDict(
        extra='forbid',
        frozen=True,
    )
    devices: list[str] | None = None
    processes: int | None = None
    sharding: Literal['none', 'fsdp2']
    lora: Lora | None = None
    steps: int
    batch_size: int
    micro_batch_size: int | None = None
    num_generations: int
    retries_per_reflection: int
    reward: Literal['verifier', 'shuffled']
    learning_rate: float
    lr_scheduler: Literal['cosine', 'linear', 'constant', 'constant_with_warmup']
    warmup_ratio: float
    beta: float
    epsilon: float
    loss_type: Literal['grpo', 'bnpo', 'dr_grpo', 'dapo']
    scale_rewards: Literal['group', 'batch', 'none']
    max_grad_norm: float
    gradient_checkpointing: bool
    checkpoint_every: int
    checkpoint_minutes: float | None = None
    keep_checkpoints: int
    max_logprob_difference: float | None = None
    max_restarts: int
    step_timeout_s: float
    report_to: list[Literal['tensorboard', 'wandb', 'trackio']]
    gpu_memory_utilization: float
    engine_sleep: bool


class Baseline(BaseModel):
    model_config = ConfigDict(
        extra='forbid',
        frozen=True,
    )
    name: str
    model: str | None = None
    openai: Openai | None = None


class Eval(BaseModel):
    model_config = ConfigDict(
        extra='forbid',
        frozen=True,
    )
    model: str | None = None
    modes: list[Literal['sampled', 'greedy']]
    retry: Literal['failed', 'all']
    rounds: int
    samples: int
    controls: list[Literal['bare_retry', 'hint', 'donor', 'base_reflection', 'trained_reflection', 'best_of_two', 'equal_tokens']]
    baselines: list[Baseline]
    examples: int


class Shots(BaseModel):
    model_config = ConfigDict(
        extra='forbid',
        frozen=True,
    )
    gsm8k: int
    math: int


class Benchmarks(BaseModel):
    model_config = ConfigDict(
        extra='forbid',
        frozen=True,
    )
    tasks: list[Literal['gsm8k', 'math', 'hellaswag', 'mmlu_pro']]
    source: Literal['hub', 'files']
    path: str | None = None
    items: int | None = None
    max_gen_toks: int | None = None
    chat_template: bool
    shots: Shots


class Slurm(BaseModel):
    model_config = ConfigDict(
        extra='forbid',
        frozen=True,
    )
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    nodes: int
    gpus_per_node: int
    gres: str | None = None
    cpus_per_node: int | None = None
    mem: str
    time: str | None = None
    signal_ahead_s: int
    requeue: bool
    sbatch: list[str]
    srun: list[str]
    setup: list[str]


class Launch(BaseModel):
    model_config = ConfigDict(
        extra='forbid',
        frozen=True,
    )
    kind: Literal['local', 'slurm']
    slurm: Slurm


class Config(BaseModel):
    model_config = ConfigDict(
        extra='forbid',
        frozen=True,
    )
    seed: int
    python: str | None = None
    model: Model
    task: Task
    data: Data
    sampling: Sampling
    engine: Engine
    workers: Workers
    failures: Failures
    train: Train
    eval: Eval
    benchmarks: Benchmarks
    launch: Launch
    hub_commits: dict[str, str] | None = None