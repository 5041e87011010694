"""vLLM's async engine in this process: prompts are token ids that the model's own chat template makes."""

import asyncio
import gc
import itertools
import os
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from rrr_workers.config import Config
from rrr_workers.engines.base import Completion, Engine, SamplingParams, Tools, check_fits
from rrr_workers.engines.chat import ChatEncoder, completion_of, vllm_params
from rrr_workers.engines.chat_template import describe_template
from rrr_workers.engines.model_folder import check_folder
from rrr_workers.engines.same_form import difference
from rrr_workers.engines.vllm_args import (
    EXACT_CPU_WORKER,
    engine_arguments,
    first_reason,
    is_cpu_backend,
    prepare_environment,
)
from rrr_workers.errors import BugError, CallFailed, UserError, WorkerFailed
from rrr_workers.tasks.base import Message

_REMEMBERED_PROMPTS = 4096  # the draws of a query share theirs
_WATCH_S = 0.5
SEE_LOG = "see this worker's log"
START_CURE = (
    "the lines above say why; when memory ran out, lower engine.gpu_memory_utilization (on a CPU "
    "engine.cpu_kv_cache_gib) or model.max_model_len"
)
_REFUSED_CURE = "correct the model section or the engine section, or use a model that this vLLM knows"
_WEIGHTS_EXTENSION = "rrr_workers.engines.weights.WeightsExtension"
_START_METHOD = "VLLM_WORKER_MULTIPROC_METHOD"
_OWN_THREADS = 2  # the main one, and the one that reads standard input
_NICENESS = 5
_CLOSE_S = 2.0  # for the engine's processes to end by themselves


class VllmEngine(Engine):
    """Owns an ``AsyncLLM``. Made by :meth:`start`."""

    def __init__(self, llm: Any, config: Config, arguments: dict[str, Any], day: date | None):
        model, max_model_len = arguments["model"], config.model.max_model_len
        self._llm = llm
        self._arguments = arguments
        self._dtype_follows = config.model.dtype == "auto"
        self.tokenizer = llm.get_tokenizer()
        self._day = day
        self._model = model
        self._max_model_len = max_model_len
        self.encoder = ChatEncoder(self.tokenizer, model, day, _REMEMBERED_PROMPTS)
        self._request_ids = itertools.count()
        self._requests: set[asyncio.Task[Any]] = set()
        self._dead = False
        self._watch = asyncio.create_task(self._watch_engine())

    @classmethod
    async def start(cls, config: Config, model: str, day: date | None = None) -> "VllmEngine":
        """Load ``model`` (a folder or a hub id): seconds to minutes. ``day``: see :class:`ChatEncoder`."""
        if Path(model).is_absolute():
            check_folder(Path(model), config.model.max_model_len)
        prepare_environment(config.workers.count * config.engine.tensor_parallel)
        forks = _may_fork()
        from vllm import AsyncEngineArgs
        from vllm.v1.engine.async_llm import AsyncLLM

        arguments = engine_arguments(config, model)
        try:
            settled = AsyncEngineArgs(**arguments, worker_extension_cls=_WEIGHTS_EXTENSION).create_engine_config()
            if forks:
                os.environ[_START_METHOD] = "fork"  # on a CPU vLLM has just set it to spawn
            # Blocks for as long as loading takes; the protocol's reader thread still sees a stop.
            llm = AsyncLLM.from_vllm_config(settled, disable_log_stats=True)
        except ValueError as error:  # before anything is loaded
            raise UserError(f"vLLM refuses {model}: {first_reason(error)}", cure=_REFUSED_CURE) from error
        except RuntimeError as error:  # the engine's processes have logged why
            raise WorkerFailed(f"vLLM did not start: {error}", cure=START_CURE) from error
        # Objects of the libraries live as long as this process: looking through them over and over takes a third of it.
        gc.collect()
        gc.freeze()
        # The engine's processes, started above, keep their priority: where cores are scarce they come first.
        os.nice(_NICENESS)
        return cls(llm, config, arguments, day)

    def info(self) -> dict[str, Any]:
        from vllm.platforms import current_platform

        return {
            "engine": "vllm",
            "model": self._model,
            "device": current_platform.get_device_name(),
            "dtype": str(self._llm.model_config.dtype).removeprefix("torch."),
            "max_model_len": self._max_model_len,
            "chat_template": describe_template(self.tokenizer, self._day),
        }

    async def generate(
        self, messages: Sequence[Message], params: SamplingParams, tools: Tools | None = None
    ) -> Completion:
        from vllm.inputs import tokens_input

        prompt_ids = self.encoder.encode(messages, tools)
        check_fits(len(prompt_ids), params.max_tokens, self._max_model_len)
        # Token ids, not text: vLLM would tokenize all requests in one thread.
        output = await self._finished(tokens_input(prompt_ids), vllm_params(params))
        return completion_of(output, len(prompt_ids))

    async def load(self, model: str) -> None:
        if self._requests:
            raise BugError("the engine was told to hold another model while it answers")
        if why := self._refusal(model):
            raise CallFailed(f"the engine can't take {model}: {why}", cure="start another engine with it")
        problems = (await self._llm.collective_rpc("load_weights_of", args=(model,)))[0]
        if problems:
            more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
            raise CallFailed(
                f"the engine did not take the weights of {model}: {problems[0]}{more}",
                cure="start another engine with it",
            )
        if not await self._llm.reset_prefix_cache():
            raise CallFailed("vLLM kept its prefix cache over another model: cached blocks are in use")
        self._model = model

    def _refusal(self, model: str) -> str | None:
        """Why another model's weights can't be loaded into this engine, as far as can be told before it is tried."""
        if self._arguments["tensor_parallel_size"] > 1:
            return "it splits the weights over several GPUs"
        if is_cpu_backend() and self._arguments.get("worker_cls") != EXACT_CPU_WORKER:
            return f"on a CPU it packs weights in {self._arguments['dtype']}, and would go on with the old ones"
        if not os.path.isdir(model):
            return "it is no folder"
        base, revision = self._arguments["model"], self._arguments["revision"]
        return difference(base, revision, model, dtype_too=self._dtype_follows)

    async def _finished(self, prompt: Any, params: Any) -> Any:
        """The ``CompletionOutput`` of one request."""
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        request = asyncio.current_task()
        assert request is not None
        self._requests.add(request)
        try:
            async for output in self._llm.generate(prompt, params, str(next(self._request_ids))):
                final = output.outputs[0]
        except EngineDeadError as error:
            raise WorkerFailed(f"the vLLM engine failed: {error}", cure=SEE_LOG) from error
        except EngineGenerateError as error:  # this request alone
            raise CallFailed(f"vLLM failed a request: {error.__cause__!r}", cure=SEE_LOG, retryable=True) from error
        except asyncio.CancelledError:
            if self._dead:
                raise WorkerFailed("the vLLM engine died", cure=SEE_LOG) from None
            raise
        finally:
            self._requests.discard(request)
        return final

    async def _watch_engine(self) -> None:
        """End the requests of a dead engine: vLLM leaves those hanging that never had an output."""
        while not self._llm.errored:
            await asyncio.sleep(_WATCH_S)
        self._dead = True
        for request in self._requests:
            request.cancel()

    async def close(self) -> None:
        self._watch.cancel()
        self._llm.shutdown(timeout=_CLOSE_S)


def _may_fork() -> bool:
    """Whether the engine's processes may be forks of this one, to be asked before torch or vLLM is imported.

    Forks share what is imported here; spawned, each imports it again, for ten seconds. But a fork has none of the
    threads, so it must not come from a process where some hold locks or wait for work, as those of torch and numpy may
    do once a user's task has used them.
    """
    unset = _START_METHOD not in os.environ
    return unset and is_cpu_backend() and len(os.listdir("/proc/self/task")) <= _OWN_THREADS
