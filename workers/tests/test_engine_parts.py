"""What vLLM is told, by the sampling workers and by the trainer, and what is made of its answers: without an engine."""

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from harness import resolved_config
from rrr_workers.config import Config, parse_config
from rrr_workers.engines.base import PromptTooLong, SamplingParams, check_fits, fits
from rrr_workers.engines.chat import ChatEncoder, completion_of, vllm_params
from rrr_workers.engines.vllm import _may_fork
from rrr_workers.engines.vllm_args import EXACT_CPU_WORKER, engine_arguments, prepare_environment
from rrr_workers.errors import CallFailed, UserError

GIB = 2**30


def test_a_prompt_fits_up_to_the_last_token() -> None:
    assert fits(200, 56, 256)
    assert not fits(200, 57, 256)
    check_fits(200, 56, 256)
    with pytest.raises(PromptTooLong, match=r"200 tokens and up to 57 new ones exceed model.max_model_len \(256\)"):
        check_fits(200, 57, 256)


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize(("logprobs", "asked"), [(False, None), (True, 0)])
def test_every_sampling_parameter_reaches_vllm(skip: bool, logprobs: bool, asked: int | None) -> None:
    from vllm.sampling_params import RequestOutputKind

    ours = SamplingParams(0.7, 0.9, 33, seed=44, skip_special_tokens=skip, logprobs=logprobs)
    theirs = vllm_params(ours)
    assert (theirs.temperature, theirs.top_p, theirs.max_tokens, theirs.seed) == (0.7, 0.9, 33, 44)
    assert (theirs.skip_special_tokens, theirs.logprobs) == (skip, asked)
    assert theirs.output_kind == RequestOutputKind.FINAL_ONLY
    # What isn't asked for changes nothing.
    assert (theirs.top_k, theirs.min_p, theirs.repetition_penalty, theirs.n) == (0, 0.0, 1.0, 1)
    assert (theirs.presence_penalty, theirs.frequency_penalty, theirs.min_tokens) == (0.0, 0.0, 0)


def output(**changes: Any) -> SimpleNamespace:
    chosen = [{5: SimpleNamespace(logprob=-0.5), 9: SimpleNamespace(logprob=-0.1)}, {6: SimpleNamespace(logprob=-0.25)}]
    return SimpleNamespace(**{"text": "t", "token_ids": (5, 6), "finish_reason": "stop", "logprobs": chosen, **changes})


def test_a_completion_is_what_vllm_sampled() -> None:
    done = completion_of(output(), prompt_tokens=7)
    assert (done.text, done.token_ids, done.tokens, done.prompt_tokens) == ("t", [5, 6], 2, 7)
    assert (done.finish_reason, done.logprobs) == ("stop", [-0.5, -0.25])
    assert completion_of(output(finish_reason="length", logprobs=None), 7).logprobs == []


@pytest.mark.parametrize("reason", ["abort", "error", None])
def test_a_request_that_vllm_gave_up_is_asked_again(reason: str | None) -> None:
    with pytest.raises(CallFailed) as caught:
        completion_of(output(finish_reason=reason), 7)
    assert caught.value.retryable


class Tokenizer:
    """Counts how often it is asked."""

    chat_template = "{{ messages }}"

    def __init__(self) -> None:
        self.asked: list[tuple[Any, dict[str, Any]]] = []

    def apply_chat_template(self, messages: Any, **options: Any) -> list[int]:
        self.asked.append((messages, options))
        return [len(self.asked)]


def test_prompts_are_told_apart_by_messages_and_tools() -> None:
    tokenizer = Tokenizer()
    encoder = ChatEncoder(tokenizer, "tiny", remembered=10)
    one, other = [{"role": "user", "content": "a"}], [{"role": "user", "content": "b"}]
    tools = [{"type": "function"}]
    ids = [encoder.encode(*asked) for asked in ((one,), (other,), (one, tools), (one,), (one, tools), (other,))]
    assert ids == [[1], [2], [3], [1], [3], [2]]
    options = {"tools": None, "add_generation_prompt": True, "return_dict": False}
    assert tokenizer.asked == [(one, options), (other, options), (one, {**options, "tools": tools})]


def test_a_model_without_a_chat_template_is_refused() -> None:
    tokenizer = Tokenizer()
    tokenizer.chat_template = ""
    with pytest.raises(UserError, match="model tiny has no chat template"):
        ChatEncoder(tokenizer, "tiny")


def config(**sections: Any) -> Config:
    engine = {
        "tensor_parallel": 2,
        "gpu_memory_utilization": 0.8,
        "cpu_kv_cache_gib": 0.5,
        "enforce_eager": True,
        "prefix_caching": False,
    }
    model = {"name": "/models/m", "revision": "main", "dtype": "bfloat16", "max_model_len": 5000}
    named = {"seed": 3, "model": model, "engine": engine, "workers": {"count": 3, "max_in_flight": 77}}
    return parse_config(resolved_config(**{**named, **sections}))


EVERYWHERE = {
    "model": "/models/m",
    "revision": "main",
    "dtype": "bfloat16",
    "max_model_len": 5000,
    "max_num_seqs": 77,
    "tensor_parallel_size": 2,
    "gpu_memory_utilization": 0.8,
    "enable_prefix_caching": False,
    "enforce_eager": True,
    "disable_log_stats": True,
    "seed": 3,
}
ON_A_CPU = {
    "kv_cache_memory_bytes": GIB // 2,
    "enable_chunked_prefill": False,
    "max_num_batched_tokens": 5000,
    "block_size": 32,
}


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets which machine the code takes this one for."""

    def pretend(kind: str) -> None:
        for module in ("engines.vllm_args", "training.config", "training.engine"):
            monkeypatch.setattr(f"rrr_workers.{module}.is_cpu_backend", lambda: kind == "cpu")

    return pretend


def test_the_arguments_of_an_engine_are_all_in_this_table(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    backend("cuda")
    assert engine_arguments(config(), "/models/m") == EVERYWHERE
    # A revision is of the configured model alone.
    assert engine_arguments(config(), "/run/model") == {**EVERYWHERE, "model": "/run/model", "revision": None}
    assert engine_arguments(config(), "/models/m", dtype="float32") == {**EVERYWHERE, "dtype": "float32"}
    automatic = config(model={"name": "/models/m", "revision": "main", "dtype": "auto", "max_model_len": 5000})
    assert engine_arguments(automatic, "/models/m") == {**EVERYWHERE, "dtype": "auto"}
    backend("cpu")
    assert engine_arguments(config(), "/models/m") == {**EVERYWHERE, **ON_A_CPU}
    exact = {"dtype": "float32", "worker_cls": EXACT_CPU_WORKER}
    assert engine_arguments(config(), "/models/m", dtype="float32") == {**EVERYWHERE, **ON_A_CPU, **exact}
    asked: list[Any] = []
    monkeypatch.setattr("rrr_workers.engines.vllm_args.checkpoint_dtype", lambda *of: asked.append(of) or "float32")
    assert engine_arguments(automatic, "/models/m") == {**EVERYWHERE, **ON_A_CPU, **exact}
    assert asked == [("/models/m", "main")]
    short = engine_arguments(config(model={"name": "/m", "dtype": "bfloat16", "max_model_len": 256}), "/m")
    assert (short["max_model_len"], short["max_num_batched_tokens"]) == (256, 4096)


def test_engines_share_the_cores_and_keep_what_the_user_set(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("VLLM_CPU_OMP_THREADS_BIND", "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "VLLM_CPU_KVCACHE_SPACE")
    environment: dict[str, str] = {}
    monkeypatch.setattr("os.environ", environment)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(24)))
    backend("cuda")
    prepare_environment(6)
    assert environment == {"VLLM_NO_USAGE_STATS": "1"}
    backend("cpu")
    environment["VLLM_CPU_KVCACHE_SPACE"] = "4"  # it would win over the config
    prepare_environment(6)
    assert [environment.get(name) for name in names] == ["nobind", "4", "PASSIVE", None]  # 24 / 6
    environment.clear()
    environment["OMP_NUM_THREADS"] = "5"
    prepare_environment(100)
    assert environment["OMP_NUM_THREADS"] == "5"
    del environment["OMP_NUM_THREADS"]
    prepare_environment(100)
    assert environment["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize(
    ("kind", "threads", "chosen", "forks"),
    [("cpu", 2, None, True), ("cpu", 3, None, False), ("cpu", 2, "spawn", False), ("cuda", 2, None, False)],
)
def test_the_engine_s_processes_are_forks_where_no_library_has_threads(
    monkeypatch: pytest.MonkeyPatch, kind: str, threads: int, chosen: str | None, forks: bool
) -> None:
    monkeypatch.setattr("rrr_workers.engines.vllm.is_cpu_backend", lambda: kind == "cpu")
    monkeypatch.setattr("os.listdir", lambda _: ["1"] * threads)
    monkeypatch.setattr("os.environ", {"VLLM_WORKER_MULTIPROC_METHOD": chosen} if chosen else {})
    assert _may_fork() is forks


# --- The trainer's engine ---


@pytest.fixture
def colocated(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The trainer's engine without vLLM: ``calls`` holds what it did, ``arguments`` what vLLM was told."""
    from rrr_workers.training import engine as module

    made = object.__new__(module.ColocatedEngine)
    made._config = config(
        engine={"name": "vllm"},
        train={"batch_size": 64, "micro_batch_size": 8, "retries_per_reflection": 3, "gpu_memory_utilization": 0.3},
    )
    made.accelerator = SimpleNamespace(
        num_processes=2, process_index=1, local_process_index=1, wait_for_everyone=lambda: None
    )
    made.calls = []
    made.reset_succeeds = True
    made.mode, made.enable_sleep_mode = "colocate", False
    made._dist = SimpleNamespace(is_fsdp=False, gather_params=lambda _: nullcontext())
    made.model = torch.nn.Linear(3, 2)  # the trainer's; the engine has a copy

    class Served(torch.nn.Linear):
        def load_weights(self, named: Any) -> None:
            for name, tensor in named:
                made.calls.append(f"load {name}")
                self.get_parameter(name).data.copy_(tensor)

    class Llm:
        def __init__(self, **arguments: Any):
            made.arguments = arguments
            runner = SimpleNamespace(model=Served(3, 2))
            worker = SimpleNamespace(model_runner=runner)
            self.llm_engine = SimpleNamespace(model_executor=SimpleNamespace(driver_worker=worker))

        def sleep(self, level: int) -> None:
            made.calls.append(f"sleep {level}")

        def wake_up(self, tags: list[str]) -> None:
            made.calls.append(f"wake {tags}")

        def reset_prefix_cache(self) -> bool:
            made.calls.append("reset")
            return bool(made.reset_succeeds)

        def generate(self, inputs: Any, params: Any, **_: Any) -> list[Any]:
            made.calls.append((inputs, params))
            return [SimpleNamespace(outputs=[output(text=str(each["prompt_token_ids"]))]) for each in inputs]

    monkeypatch.setattr(module, "LLM", Llm)
    monkeypatch.setattr(module, "ensure_master_addr_port", lambda: None)
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.setenv(name, "")
    return made


def test_after_a_weight_update_the_prefix_cache_is_emptied(colocated: Any) -> None:
    colocated._init_vllm()
    colocated.sync_weights()
    assert colocated.calls == ["load weight", "load bias", "reset", "reset"]  # TRL's, and ours, which is looked at
    colocated.reset_succeeds = False
    with pytest.raises(CallFailed, match="kept its prefix cache over a weight update") as caught:
        colocated.sync_weights()
    assert not caught.value.retryable


@pytest.mark.parametrize(("kind", "dtype"), [("cpu", "float32"), ("cuda", "bfloat16")])
def test_the_trainer_s_engine_is_told_what_the_sampler_s_is_but_for_this(
    colocated: Any, backend: Any, kind: str, dtype: str
) -> None:
    backend(kind)
    colocated._init_vllm()
    sampler = engine_arguments(colocated._config, "/models/m", dtype=dtype)
    assert colocated.arguments == {
        **sampler,
        "tensor_parallel_size": 1,
        "gpu_memory_utilization": 0.3,
        "max_num_seqs": 64 // 2 * 3,
        "enable_sleep_mode": False,
        "max_num_batched_tokens": 5000,
        "distributed_executor_backend": "external_launcher",
        "logprobs_mode": "processed_logprobs",
    }


def test_the_trainer_s_engine_answers_in_the_order_of_its_prompts(colocated: Any) -> None:
    colocated._init_vllm()
    params = [SamplingParams(1.0, 1.0, 8, seed=seed) for seed in (1, 2)]
    done = colocated.sample([[5, 6], [7]], params)
    assert [(each.text, each.prompt_tokens) for each in done] == [("[5, 6]", 2), ("[7]", 1)]
    ((_, asked),) = colocated.calls
    assert [each.seed for each in asked] == [1, 2]


def test_an_engine_that_sleeps_is_awake_from_its_weight_update_to_the_last_retry(
    colocated: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Order and arguments alone: vLLM sleeps on CUDA, where this has not been run."""
    monkeypatch.setattr("trl.generation.vllm_generation.empty_cache", lambda: colocated.calls.append("empty"))
    colocated.enable_sleep_mode = True
    colocated._init_vllm()
    assert colocated.arguments["enable_sleep_mode"] is True
    for step in (0, 1):
        colocated.sync_weights()
        colocated.wake(step)
        colocated.sample([[5]], [SamplingParams(1.0, 1.0, 8, seed=1)])
        colocated.rest()
    steps = [each if isinstance(each, str) else "sample" for each in colocated.calls]
    woken = ["empty", "wake ['weights']", "load weight", "load bias", "reset", "reset", "wake ['kv_cache']"]
    assert steps == ["sleep 2", *[*woken, "sample", "sleep 2"] * 2]


def test_an_engine_that_slept_is_not_sampled_without_a_weight_update(colocated: Any) -> None:
    colocated.enable_sleep_mode = True
    colocated._init_vllm()
    with pytest.raises(CallFailed, match="no update was handed over"):
        colocated.wake(0)
    assert colocated.calls == ["sleep 2"]


@pytest.mark.parametrize(("kind", "sleeps"), [("cuda", True), ("cpu", False)])
def test_only_an_engine_on_a_gpu_sleeps(kind: str, sleeps: bool, backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from rrr_workers.training import engine as module

    told: dict[str, Any] = {}
    monkeypatch.setattr(module.VLLMGeneration, "__init__", lambda _, **arguments: told.update(arguments))
    backend(kind)
    model: Any = None
    module.ColocatedEngine(config(train={"engine_sleep": True}), model, model, model)
    assert told["enable_sleep_mode"] is sleeps
    module.ColocatedEngine(config(train={"engine_sleep": False}), model, model, model)
    assert told["enable_sleep_mode"] is False


def test_a_checkpoint_that_names_no_dtype_is_float32(tmp_path: Path) -> None:
    from rrr_workers.engines.vllm_args import checkpoint_dtype

    for text, dtype in (('"dtype": "bfloat16", ', "bfloat16"), ("", "float32")):
        (tmp_path / "config.json").write_text(f'{{{text}"model_type": "llama"}}')
        assert checkpoint_dtype(str(tmp_path), None) == dtype
