"""Sampling worker: holds one engine, draws and judges.

    python -m rrr_workers.roles.sampler      (frames on stdin and stdout: rrr_workers/runtime/frames.py)

``start.options``: {model: folder or hub id, index: number of this worker}. Methods: ``sample_failures`` and
``episode``, whose parameters and results are in src/protocol/methods.ts. Results depend on (config.seed, query,
purpose) alone: not on the worker, on what else runs, or on how many draws were made ahead.
"""

import os
from collections.abc import Mapping
from typing import Any

from rrr_workers.config import Config
from rrr_workers.draws import draw_failures
from rrr_workers.engines.base import Completion, Engine
from rrr_workers.episode import Attempt, Decoding, attempt, run_episode
from rrr_workers.errors import UserError
from rrr_workers.hashing import derive_seed
from rrr_workers.runtime.guardian import die_with_parent
from rrr_workers.runtime.role import Call, Role
from rrr_workers.runtime.serve import serve
from rrr_workers.tasks.base import Query
from rrr_workers.tasks.loaded import LoadedTask
from rrr_workers.tasks.registry import load_task


class SamplingRole:
    """The role of this worker."""

    def __init__(self, config: Config, loaded: LoadedTask, engine: Engine):
        self._config = config
        self._loaded = loaded
        self._engine = engine
        self._active = 0  # queries in hand

    def info(self) -> dict[str, Any]:
        return {**self._engine.info(), "task": self._loaded.task.name}

    async def handle(self, call: Call) -> dict[str, Any]:
        query = Query(call.params["query"]["id"], call.params["query"]["fields"])
        self._active += 1
        try:
            if call.method == "sample_failures":
                return await self._sample_failures(query, call.params)
            if call.method == "episode":
                return await self._episode(query, call.params)
            raise ValueError(f"unknown method {call.method!r}")
        except UserError as error:
            raise UserError(f"query {query.id}: {error}", cure=error.cure) from error
        finally:
            self._active -= 1

    async def close(self) -> None:
        await self._engine.close()

    async def _sample_failures(self, query: Query, params: Mapping[str, Any]) -> dict[str, Any]:
        decoding = Decoding(self._config, self._loaded)

        async def draw(number: int) -> Attempt:
            seed = derive_seed(self._config.seed, query.id, "mine", number)  # "mine" is in the seeds of earlier runs
            return await attempt(self._engine, self._loaded, query, (), decoding.answer(seed))

        drawn = await draw_failures(
            draw,
            self._draws_at_once,
            max_draws=params["max_draws"],
            failures_per_query=params["failures_per_query"],
            keep_all=params["keep"] == "all",
        )
        return {
            "draws": drawn.draws,
            "wasted_draws": drawn.wasted,
            "prompt_tokens": drawn.prompt_tokens,
            "completion_tokens": drawn.completion_tokens,
            "kinds": dict(drawn.kinds),
            "failures": [{**attempt_json(failed), "draw": number} for number, failed in drawn.failures],
        }

    def _draws_at_once(self, drawn: int) -> int:
        """One while other queries fill the engine; else up to an equal share of it, growing with the draws that were
        needed so far: a query that keeps passing probably goes on to, so at most half of its draws are wasted."""
        share = self._config.workers.max_in_flight // self._active
        return max(1, min(share, drawn))

    async def _episode(self, query: Query, params: Mapping[str, Any]) -> dict[str, Any]:
        episode = await run_episode(
            self._engine,
            Decoding(self._config, self._loaded, greedy=params["decoding"] == "greedy"),
            query,
            params["purpose"],
            failed_answer=params["failed_answer"],
            rounds=params["rounds"],
        )
        return {
            "first": episode.first and attempt_json(episode.first),
            "rounds": [
                {
                    "reflection": each.reflection and completion_json(each.reflection),
                    "retry": attempt_json(each.retry),
                }
                for each in episode.rounds
            ],
        }


def completion_json(done: Completion) -> dict[str, Any]:
    """``completion`` of src/protocol/methods.ts."""
    return {"completion": done.text, "tokens": done.tokens, "finish_reason": done.finish_reason}


def attempt_json(done: Attempt) -> dict[str, Any]:
    """``attempt`` of src/protocol/methods.ts."""
    verdict = done.verdict
    judged = {"passed": verdict.passed, "kind": verdict.kind, "detail": verdict.detail}
    return {**completion_json(done.completion), "verdict": judged}


async def build(config: Config, options: dict[str, Any]) -> Role:
    """Load the task, then the engine: mistakes in the config show before minutes are spent."""
    loaded = load_task(config.task)
    model = options["model"]
    if config.engine.name == "openai":
        from rrr_workers.engines.openai import OpenAIEngine

        return SamplingRole(config, loaded, await OpenAIEngine.start(config, model, options["index"]))
    from rrr_workers.engines.vllm import VllmEngine

    vllm = await VllmEngine.start(config, model)
    loaded.use_tokenizer(vllm.tokenizer)
    return SamplingRole(config, loaded, vllm)


if __name__ == "__mp_main__":  # in a process that vLLM spawned
    die_with_parent()
if __name__ == "__main__":
    os.register_at_fork(after_in_child=die_with_parent)  # where vLLM forks instead
    serve("sampler", build)
