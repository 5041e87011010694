"""Sampling worker: holds one engine, draws and judges.

    python -m rrr_workers.sampler      (frames on stdin and stdout: rrr_workers/protocol.py)

``start.options``: {model: folder or hub id, index: number of this worker}. Methods: ``mine`` and ``episode``, whose
parameters and results are in src/protocol/methods.ts. Results depend on (config.seed, query, purpose) alone: not on the
worker, on what else runs, or on how many draws were made ahead.
"""

import asyncio
import os
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

from rrr_workers.config import Config
from rrr_workers.engines.base import Completion, Engine, PromptTooLong
from rrr_workers.episode import Sampler, attempt, run_episode
from rrr_workers.guardian import die_with_parent
from rrr_workers.protocol import Call, Role, UserError, WorkerError, serve
from rrr_workers.tasks.base import Attempt, Query, Task
from rrr_workers.tasks.registry import load_task


class SamplingRole:
    """The role of this worker."""

    def __init__(self, config: Config, task: Task, engine: Engine):
        self._config = config
        self._task = task
        self._engine = engine
        self._active = 0  # queries in hand

    def info(self) -> dict[str, Any]:
        return {**self._engine.info(), "task": self._task.name}

    async def handle(self, call: Call) -> dict[str, Any]:
        query = Query(call.params["query"]["id"], call.params["query"]["fields"])
        self._active += 1
        try:
            if call.method == "mine":
                return await self._mine(query, call.params)
            if call.method == "episode":
                return await self._episode(query, call.params)
            raise ValueError(f"unknown method {call.method!r}")
        except WorkerError as error:
            if error.type == "user":
                raise UserError(f"query {query.id}: {error}", cure=error.cure) from error
            raise
        finally:
            self._active -= 1

    async def close(self) -> None:
        await self._engine.close()

    async def _mine(self, query: Query, params: Mapping[str, Any]) -> dict[str, Any]:
        """Draw until ``failures_per_query`` draws failed, ``max_draws`` were made, or, with keep "all", one passed.

        Draws are counted strictly in order; those made ahead of need are thrown away and only tell in ``wasted_draws``.
        A query whose prompt doesn't fit the model has no draws.
        """
        most, enough, keep_all = params["max_draws"], params["failures_per_query"], params["keep"] == "all"
        sampler = Sampler(self._config)
        kinds: Counter[str] = Counter()
        failures: list[dict[str, Any]] = []
        prompt_tokens = completion_tokens = counted = started = 0
        ahead: deque[asyncio.Task[Attempt]] = deque()
        try:
            while counted < most:
                while started < most and len(ahead) < self._draws_at_once(counted):
                    draw = attempt(self._engine, self._task, query, sampler.params(query, "mine", started))
                    ahead.append(asyncio.create_task(draw))
                    started += 1
                done = await ahead[0]
                ahead.popleft()
                kinds[done.verdict.kind] += 1
                prompt_tokens += done.prompt_tokens
                completion_tokens += done.tokens
                if not done.verdict.passed and len(failures) < enough:
                    failures.append({**attempt_json(done), "draw": counted})
                counted += 1
                if kinds["passed"] if keep_all else len(failures) == enough:
                    break
        except PromptTooLong:
            ahead.clear()  # it was the first draw, made alone
        finally:
            for unneeded in ahead:
                unneeded.cancel()
            await asyncio.gather(*ahead, return_exceptions=True)
        return {
            "draws": counted,
            "wasted_draws": len(ahead),
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "kinds": dict(kinds),
            "failures": [] if keep_all and kinds["passed"] else failures,
        }

    def _draws_at_once(self, counted: int) -> int:
        """One while other queries fill the engine; else up to an equal share of it, growing with the draws that were
        needed so far: a query that keeps passing probably goes on to, so at most half of its draws are wasted."""
        share = self._config.workers.max_in_flight // self._active
        return max(1, min(share, counted))

    async def _episode(self, query: Query, params: Mapping[str, Any]) -> dict[str, Any]:
        sampler = Sampler(self._config, greedy=params["mode"] == "greedy")
        failed_answer = params.get("failed_answer")
        episode = await run_episode(self._engine, self._task, query, sampler, params["purpose"], failed_answer)
        return {
            "first": episode.first and attempt_json(episode.first),
            "reflection": episode.reflection and completion_json(episode.reflection),
            "second": episode.second and attempt_json(episode.second),
        }


def completion_json(done: Completion) -> dict[str, Any]:
    """``completion`` of src/protocol/methods.ts."""
    return {"completion": done.text, "tokens": done.tokens, "finish_reason": done.finish_reason}


def attempt_json(done: Attempt) -> dict[str, Any]:
    """``attempt`` of src/protocol/methods.ts."""
    verdict = done.verdict
    return {
        "completion": done.completion,
        "tokens": done.tokens,
        "finish_reason": done.finish_reason,
        "verdict": {"passed": verdict.passed, "kind": verdict.kind, "detail": verdict.detail},
    }


async def build(config: Config, options: dict[str, Any]) -> Role:
    """Load the task, then the engine: mistakes in the config show before minutes are spent."""
    task = load_task(config.task)
    model = options["model"]
    if config.workers.engine == "openai":
        from rrr_workers.engines.openai import OpenAIEngine

        return SamplingRole(config, task, await OpenAIEngine.start(config, model, options["index"]))
    from rrr_workers.engines.vllm import VllmEngine

    vllm = await VllmEngine.start(config, model)
    task.use_tokenizer(vllm.tokenizer)
    vllm.skip_special_tokens = task.skip_special_tokens
    return SamplingRole(config, task, vllm)


if __name__ == "__mp_main__":  # in a process that vLLM spawned
    die_with_parent()
if __name__ == "__main__":
    os.register_at_fork(after_in_child=die_with_parent)  # where vLLM forks instead
    serve("sampler", build)
