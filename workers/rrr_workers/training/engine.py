"""The engine that shares the trainer's process and takes its weights after every step."""

import os
from collections.abc import Sequence
from typing import Any

from accelerate import Accelerator  # type: ignore[import-untyped]
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl.generation.vllm_generation import VLLMGeneration
from trl.trainer.utils import ensure_master_addr_port
from vllm import LLM, TokensPrompt

from rrr_workers.config import Config
from rrr_workers.engines.base import Completion, SamplingParams
from rrr_workers.engines.chat import completion_of, vllm_params
from rrr_workers.engines.vllm_args import engine_arguments
from rrr_workers.errors import CallFailed
from rrr_workers.training.config import compute_dtype

_MOST_AT_ONCE = 1024


class ColocatedEngine(VLLMGeneration):  # type: ignore[misc]  # TRL is untyped
    """TRL's colocated engine and its weight update, but with rrr's engine arguments: TRL passes vLLM neither a dtype
    nor the size of a CPU cache, and samples with one seed for all."""

    def __init__(
        self, config: Config, model: PreTrainedModel, accelerator: Accelerator, tokenizer: PreTrainedTokenizerBase
    ):
        self._config = config
        super().__init__(model=model, accelerator=accelerator, processing_class=tokenizer, mode="colocate")

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
            # vLLM's own default makes its memory profile overshoot beside a trainer.
            "max_num_batched_tokens": max(config.model.max_model_len, 4096),
            "distributed_executor_backend": "external_launcher",
            "logprobs_mode": "processed_logprobs",  # at the temperature, as the trainer computes them
        }
        self.llm = LLM(**arguments)
        accelerator.wait_for_everyone()

    def sync_weights(self) -> None:
        """Give the engine the trainer's weights; what it cached under the old ones is forgotten."""
        super().sync_weights()
        if not self.llm.reset_prefix_cache():
            raise CallFailed("vLLM kept its prefix cache over a weight update: cached blocks are in use")

    def sample(self, prompts: Sequence[Sequence[int]], params: Sequence[SamplingParams]) -> list[Completion]:
        """One completion for each of ``prompts`` (token ids), in their order."""
        inputs = [TokensPrompt(prompt_token_ids=list(prompt)) for prompt in prompts]
        requests = self.llm.generate(inputs, [vllm_params(each) for each in params], use_tqdm=False)
        return [
            completion_of(request.outputs[0], len(prompt)) for request, prompt in zip(requests, prompts, strict=True)
        ]
