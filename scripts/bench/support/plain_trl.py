"""Plain TRL on the reflections of a run of rrr, with the bare generation of its retries; takes turns (steps.py).

    python plain_trl.py RUN

Stock ``GRPOTrainer`` with ``use_vllm`` and a colocated engine: TRL tokenizes, samples, synchronizes and trains as it
does, with the settings of RUN and on an engine with rrr's arguments. It is told the seeds of rrr's samples, so that it
samples the same reflections, and their rewards, so that it learns the same. Right after the reflections, when the
engine has in its cache what rrr's has, comes one ``LLM.generate`` of the retries.

What rrr must do besides has no part in a step: the retries' prompts and sampling parameters and the rewards are ready
when it begins. So are the texts of the reflections' prompts, which TRL tokenizes.
"""

import copy
import json
import sys
from pathlib import Path
from typing import Any

from rrr_workers.config import Config, parse_config
from rrr_workers.engines.base import fits
from rrr_workers.engines.chat import vllm_params
from rrr_workers.engines.vllm_args import prepare_environment
from rrr_workers.episode import Decoding, next_prompt
from rrr_workers.tasks.registry import load_task
from support.steps import Turns, requests


class Told:
    """A step of rrr's, to be made again."""

    def __init__(self, decoding: Decoding):
        self.turns = Turns({"take": self._take, "compare": self._compare})
        self._decoding = decoding
        self._step: dict[str, Any] = {}
        self._retry_prompts: list[Any] = []
        self._retry_params: list[Any] = []
        self._made: dict[str, Any] = {}

    def rewards(self, **_: Any) -> list[float]:
        """The reward function."""
        rewards: list[float] = self._step["rewards"]
        return rewards

    def direct(self, llm: Any) -> None:
        """Make each ``llm.generate`` one of the reflections at their seeds, and then one of the retries."""
        generate = llm.generate

        def directed(prompts: Any, sampling_params: Any, **options: Any) -> Any:
            params = []
            for told in self._step["reflections"]:
                seeded = copy.copy(sampling_params)
                seeded.seed = told["seed"]
                params.append(seeded)
            with self.turns.part("reflections"):
                reflections = generate(prompts, params, **options)
            with self.turns.part("retries"):
                retries = generate(self._retry_prompts, self._retry_params, **options)
            self._made = {"reflections": (params, reflections), "retries": (self._retry_params, retries)}
            return reflections

        llm.generate = directed

    def _take(self, **step: Any) -> dict[str, Any]:
        self._step = step
        self._retry_prompts = [{"prompt_token_ids": told["prompt"]} for told in step["retries"]]
        self._retry_params = [vllm_params(self._decoding.answer(told["seed"])) for told in step["retries"]]
        return {}

    def _compare(self) -> dict[str, Any]:
        """Whether the same was sampled, of the same prompts, with as much from the prefix cache."""
        same = {name: requests(*made) == self._step[name] for name, made in self._made.items()}
        self._made = {}
        return same


def prompts_of(config: Config, tokenizer: Any, run: Path) -> list[str]:
    """Texts of the prompts of a whole training, in their order."""
    from rrr_workers.training.config import prompts_per_step
    from rrr_workers.training.failures import load_failures, training_order

    loaded = load_task(config.task)
    loaded.use_tokenizer(tokenizer)
    texts = []
    for failure in load_failures(run / "failures" / "failures.jsonl"):
        text = tokenizer.apply_chat_template(
            next_prompt(loaded, failure.query, (failure.answer,)),
            tools=loaded.tools(failure.query),
            add_generation_prompt=True,
            tokenize=False,
        )
        if fits(len(tokenizer(text)["input_ids"]), config.sampling.max_reflection_tokens, config.model.max_model_len):
            texts.append(text)
    needed = config.train.steps * prompts_per_step(config)
    return [texts[index] for index in training_order(len(texts), needed, config.seed)]


def main() -> None:
    run = Path(sys.argv[1])
    config = parse_config(json.loads((run / "train" / "config.json").read_text()))
    prepare_environment(1)
    from datasets import Dataset
    from transformers import AutoTokenizer, PrinterCallback
    from trl import GRPOTrainer
    from trl.generation.vllm_generation import VLLMGeneration
    from trl.trainer import grpo_trainer

    from rrr_workers.training.config import grpo_config
    from rrr_workers.training.engine import ColocatedEngine

    tokenizer = AutoTokenizer.from_pretrained(config.model.name, revision=config.model.revision)
    told = Told(Decoding(config, load_task(config.task)))

    class PlainEngine(VLLMGeneration):  # type: ignore[misc]  # TRL is untyped
        def _init_vllm(self) -> None:
            self.llm = ColocatedEngine(config, self.model, self.accelerator, tokenizer).llm
            self._llm_weights_sleeping = False
            told.direct(self.llm)

    grpo_trainer.VLLMGeneration = PlainEngine
    arguments = grpo_config(config, run / "plain-trl")
    arguments.use_vllm, arguments.vllm_mode = True, "colocate"
    trainer = GRPOTrainer(
        model=config.model.name,
        args=arguments,
        processing_class=tokenizer,
        train_dataset=Dataset.from_dict({"prompt": prompts_of(config, tokenizer, run)}),
        reward_funcs=told.rewards,
    )
    trainer.remove_callback(PrinterCallback)
    told.turns.taken_by(trainer)
    trainer.train()


if __name__ == "__main__":
    main()
