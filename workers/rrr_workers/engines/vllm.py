"""vLLM's async engine in this process: prompts are token ids that the model's own chat template makes."""

import asyncio
import gc
import itertools
import json
import os
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from rrr_workers.config import Config
from rrr_workers.engines.base import Completion, Engine, SamplingParams, Tools, check_fits
from rrr_workers.engines.vllm_args import engine_arguments, prepare_environment
from rrr_workers.protocol import UserError, WorkerError
from rrr_workers.tasks.base import Message

_CACHED_PROMPTS = 4096
_WATCH_S = 0.5
_SEE_LOG = "see this worker's log"
_START_CURE = (
    "the lines above say why; when memory ran out, lower workers.gpu_memory_utilization (on a CPU "
    "workers.cpu_kv_cache_gib) or model.max_model_len"
)
_NICENESS = 5
_CLOSE_S = 2.0  # for the engine's processes to end by themselves


class VllmEngine(Engine):
    """Owns an ``AsyncLLM``. Made by :meth:`start`."""

    def __init__(self, llm: Any, model: str, max_model_len: int):
        self._llm = llm
        self.tokenizer = llm.get_tokenizer()
        self._model = model
        self._max_model_len = max_model_len
        if not self.tokenizer.chat_template:
            raise UserError(f"model {model} has no chat template", cure="use an instruct model, or add a chat template")
        # The draws of a query share their prompt.
        self._encode_cached = lru_cache(maxsize=_CACHED_PROMPTS)(self._encode)
        self._request_ids = itertools.count()
        self._requests: set[asyncio.Task[Any]] = set()
        self._dead = False
        self._watch = asyncio.create_task(self._watch_engine())

    @classmethod
    async def start(cls, config: Config, model: str) -> "VllmEngine":
        """Load ``model`` (a folder or a hub id): seconds to minutes."""
        prepare_environment(config)
        from vllm import AsyncEngineArgs
        from vllm.v1.engine.async_llm import AsyncLLM

        arguments = AsyncEngineArgs(**engine_arguments(config, model))
        try:
            # Blocks for as long as loading takes; the protocol's reader thread still sees a stop.
            llm = AsyncLLM.from_engine_args(arguments)
        except RuntimeError as error:  # its processes have logged why
            raise WorkerError(f"vLLM did not start: {error}", cure=_START_CURE) from error
        # What the libraries hold stays for good: walking it over and over takes a third of this process's time.
        gc.collect()
        gc.freeze()
        # Its processes run already. They come first where cores are scarce: the next calls wait in their queue.
        os.nice(_NICENESS)
        return cls(llm, model, config.model.max_model_len)

    def info(self) -> dict[str, Any]:
        from vllm.platforms import current_platform

        return {
            "engine": "vllm",
            "model": self._model,
            "device": current_platform.get_device_name(),
            "dtype": str(self._llm.model_config.dtype).removeprefix("torch."),
            "max_model_len": self._max_model_len,
        }

    def encode(self, messages: Sequence[Message], tools: Tools | None = None) -> list[int]:
        """Token ids of the prompt, generation prompt included."""
        return self._encode_cached(json.dumps([list(messages), tools and list(tools)]))

    def _encode(self, prompt: str) -> list[int]:
        messages, tools = json.loads(prompt)
        ids: list[int] = self.tokenizer.apply_chat_template(
            messages, tools=tools, add_generation_prompt=True, return_dict=False
        )
        return ids

    async def generate(
        self, messages: Sequence[Message], params: SamplingParams, tools: Tools | None = None
    ) -> Completion:
        from vllm import SamplingParams as VllmParams
        from vllm.inputs import tokens_input
        from vllm.sampling_params import RequestOutputKind

        prompt_ids = self.encode(messages, tools)
        check_fits(len(prompt_ids), params.max_tokens, self._max_model_len)
        vllm_params = VllmParams(
            temperature=params.temperature,
            top_p=params.top_p,
            max_tokens=params.max_tokens,
            seed=params.seed,
            output_kind=RequestOutputKind.FINAL_ONLY,
            skip_special_tokens=self.skip_special_tokens,
            skip_clone=True,  # nobody else has them
        )
        # Ready for the engine: a raw prompt would take its turn in vLLM's one thread for tokenizing.
        final = await self._finished(tokens_input(prompt_ids), vllm_params)
        if final.finish_reason not in ("stop", "length"):
            raise WorkerError(f"vLLM ended a request with {final.finish_reason!r}", retryable=True)
        token_ids = list(final.token_ids)
        return Completion(final.text, token_ids, len(token_ids), len(prompt_ids), final.finish_reason)

    async def _finished(self, prompt: Any, params: Any) -> Any:
        """The ``CompletionOutput`` of one request."""
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        request = asyncio.current_task()
        assert request is not None
        self._requests.add(request)
        try:
            async for output in self._llm.generate(prompt, params, str(next(self._request_ids))):
                final = output.outputs[0]
        except (EngineDeadError, EngineGenerateError) as error:
            raise WorkerError(f"the vLLM engine failed: {error}", cure=_SEE_LOG, retryable=True) from error
        except asyncio.CancelledError:
            if self._dead:
                raise WorkerError("the vLLM engine died", cure=_SEE_LOG, retryable=True) from None
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
