"""The engine that shares the trainer's process and takes its weights after every step."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

from accelerate import Accelerator  # type: ignore[import-untyped]
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl.generation.vllm_generation import VLLMGeneration
from trl.trainer.utils import ensure_master_addr_port
from vllm import LLM, TokensPrompt

from rrr_workers.config import Config
from rrr_workers.engines.base import Completion, SamplingParams
from rrr_workers.engines.chat import completion_of, vllm_params
from rrr_workers.engines.sync import Named, SyncCheck, checkpoint_names
from rrr_workers.engines.vllm_args import engine_arguments, is_cpu_backend
from rrr_workers.errors import CallFailed
from rrr_workers.training.config import compute_dtype

_MOST_AT_ONCE = 1024


class ColocatedEngine(VLLMGeneration):  # type: ignore[misc]  # TRL is untyped
    """TRL's colocated engine and its weight update, but with rrr's engine arguments: TRL passes vLLM neither a dtype
    nor the size of a CPU cache, and samples with one seed for all.

    With ``train.engine_sleep`` it holds GPU memory only from a weight update to :meth:`rest`: level 2 of vLLM's sleep
    throws the weights away, and TRL's update wakes their memory before it fills it. vLLM has no sleep on a CPU.
    """

    def __init__(
        self, config: Config, model: PreTrainedModel, accelerator: Accelerator, tokenizer: PreTrainedTokenizerBase
    ):
        self._config = config
        super().__init__(
            model=model,
            accelerator=accelerator,
            processing_class=tokenizer,
            mode="colocate",
            enable_sleep_mode=config.train.engine_sleep and not is_cpu_backend(),
        )

    def _init_vllm(self) -> None:
        config, accelerator = self._config, self.accelerator
        # vLLM's "external_launcher" finds its rank here, as under torchrun.
        os.environ["RANK"] = str(accelerator.process_index)
        os.environ["LOCAL_RANK"] = str(accelerator.local_process_index)
        os.environ["WORLD_SIZE"] = str(accelerator.num_processes)
        ensure_master_addr_port()
        retries = config.train.batch_size // accelerator.num_processes * config.train.retries_per_reflection
        arguments: dict[str, Any] = {
            **engine_arguments(config, config.model.name, dtype=compute_dtype(config)),
            "tensor_parallel_size": 1,
            "gpu_memory_utilization": config.train.gpu_memory_utilization,
            "max_num_seqs": min(retries, _MOST_AT_ONCE),
            "enable_sleep_mode": self.enable_sleep_mode,
            # vLLM's own default makes its memory profile overshoot beside a trainer.
            "max_num_batched_tokens": max(config.model.max_model_len, 4096),
            "distributed_executor_backend": "external_launcher",
            "logprobs_mode": "processed_logprobs",  # at the temperature, as the trainer computes them
        }
        self.llm = LLM(**arguments)
        engine = self.llm.llm_engine.model_executor.driver_worker.model_runner.model
        self.sync_check = SyncCheck(engine, checkpoint_names(self.model))
        self._llm_weights_sleeping = False  # where TRL keeps it
        self.rest()
        accelerator.wait_for_everyone()

    def sync_weights(self) -> None:
        """Give the engine the trainer's weights; what it cached under the old ones is forgotten."""
        super().sync_weights()
        if not self.llm.reset_prefix_cache():
            raise CallFailed("vLLM kept its prefix cache over a weight update: cached blocks are in use")

    def _iter_named_params(self) -> Iterator[Named]:
        yield from self.sync_check.passing(super()._iter_named_params())

    def wake(self, step: int) -> None:
        """Get ready to sample step ``step``. Raises :class:`CallFailed` where the weights are not the trainer's."""
        self.sync_check.confirm(step)
        if self.enable_sleep_mode:
            self.llm.wake_up(tags=["kv_cache"])

    def rest(self) -> None:
        """Nothing is sampled until the next weight update."""
        if self.enable_sleep_mode:
            self.llm.sleep(level=2)
            self._llm_weights_sleeping = True

    def sample(self, prompts: Sequence[Sequence[int]], params: Sequence[SamplingParams]) -> list[Completion]:
        """One completion for each of ``prompts`` (token ids), in their order."""
        if not prompts:
            return []
        inputs = [TokensPrompt(prompt_token_ids=list(prompt)) for prompt in prompts]
        requests = self.llm.generate(inputs, [vllm_params(each) for each in params], use_tqdm=False)
        return [
            completion_of(request.outputs[0], len(prompt)) for request, prompt in zip(requests, prompts, strict=True)
        ]
