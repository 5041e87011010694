"""Sampling worker: holds one engine, draws and judges.

    python -m rrr_workers.roles.sampler      (frames on stdin and stdout: rrr_workers/runtime/frames.py)

``start.options``: {model: folder or hub id, index: number of this worker, date: of the run}. Methods: ``load_model``,
``sample_failures`` and ``episode``, whose parameters and results are in src/protocol/methods.ts. Results depend on
(config.seed, query, purpose) alone: not on the worker, on what else runs, or on how many draws were made ahead.
"""

import os
import time
from collections.abc import Callable
from typing import Any

from rrr_workers.config import Config
from rrr_workers.draws import draw_failures, draw_seed
from rrr_workers.engines.base import Completion, Engine
from rrr_workers.episode import (
    Attempt,
    Decoding,
    Episode,
    attempt,
    hint,
    prompt_hash,
    retry_on,
    run_episode,
    sample_again,
)
from rrr_workers.errors import UserError
from rrr_workers.runtime.guardian import die_with_parent
from rrr_workers.runtime.role import Call, Role, day_of
from rrr_workers.runtime.serve import serve
from rrr_workers.tasks.base import Query
from rrr_workers.tasks.loaded import LoadedTask
from rrr_workers.tasks.registry import load_task

_REPORTS_A_TIMEOUT = 4


class SamplingRole:
    """The role of this worker."""

    def __init__(self, config: Config, loaded: LoadedTask, engine: Engine):
        self._config = config
        self._loaded = loaded
        self._engine = engine
        self._active = 0  # queries in hand

    def info(self) -> dict[str, Any]:
        return {**self._engine.info(), "task": self._loaded.task.name, "task_notes": self._loaded.run_notes()}

    async def handle(self, call: Call) -> dict[str, Any]:
        if call.method == "load_model":
            await self._engine.load(call.params["model"])
            return self.info()
        query = Query(call.params["query"]["id"], call.params["query"]["fields"])
        self._active += 1
        try:
            if call.method == "sample_failures":
                return await self._sample_failures(query, call)
            if call.method == "episode":
                return await self._episode(query, call)
            raise ValueError(f"unknown method {call.method!r}")
        except UserError as error:
            raise UserError(f"query {query.id}: {error}", cure=error.cure) from error
        finally:
            self._active -= 1

    async def close(self) -> None:
        await self._engine.close()

    async def _sample_failures(self, query: Query, call: Call) -> dict[str, Any]:
        params = call.params
        decoding = Decoding(self._config, self._loaded)
        report = self._reporter(call, params["max_draws"])

        async def draw(number: int) -> Attempt:
            seed = draw_seed(self._config.seed, query.id, number)
            made = await attempt(self._engine, self._loaded, query, (), decoding.answer(seed))
            report()
            return made

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
            "left_out": drawn.left_out and {"kind": drawn.left_out.kind, "message": str(drawn.left_out)},
        }

    def _draws_at_once(self, drawn: int) -> int:
        """One while other queries fill the engine; else up to an equal share of it, growing with the draws that were
        needed so far: a query that keeps passing probably goes on to, so at most half of its draws are wasted."""
        share = self._config.workers.max_in_flight // self._active
        return max(1, min(share, drawn))

    def _reporter(self, call: Call, total: int) -> Callable[[], None]:
        """To be called after every completion: tells now and then that the call makes progress, or it would be taken
        for a hang after ``workers.call_timeout_s``."""
        pause = self._config.workers.call_timeout_s / _REPORTS_A_TIMEOUT
        done, told = 0, time.monotonic()

        def report() -> None:
            nonlocal done, told
            done += 1
            if (now := time.monotonic()) - told >= pause:
                told = now
                call.progress("completions", done, total)

        return report

    async def _episode(self, query: Query, call: Call) -> dict[str, Any]:
        episode = await self._run_episode(query, call)
        prompt = {} if episode.first is None else {"prompt": prompt_hash(self._loaded, query)}
        return {
            **prompt,
            "first": episode.first and attempt_json(episode.first),
            "rounds": [
                {
                    "reflection": each.reflection and completion_json(each.reflection),
                    "retry": attempt_json(each.retry),
                }
                for each in episode.rounds
            ],
        }

    async def _run_episode(self, query: Query, call: Call) -> Episode:
        params = call.params
        purpose, failed_answer, retry = params["purpose"], params["failed_answer"], params["retry"]
        decoding = Decoding(self._config, self._loaded, greedy=params["decoding"] == "greedy")
        if retry["kind"] in ("bare", "hint", "given"):
            reflection = hint(self._loaded, query) if retry["kind"] == "hint" else retry.get("reflection")
            return await retry_on(self._engine, decoding, query, purpose, failed_answer, reflection)
        if retry["kind"] == "sample":
            sampled = Decoding(self._config, self._loaded)  # greedily a first try would only say the same again
            return await sample_again(self._engine, sampled, query, purpose, retry["tokens"])
        return await run_episode(
            self._engine,
            decoding,
            query,
            purpose,
            failed_answer=failed_answer,
            rounds=retry["rounds"],
            gated=retry["gated"],
            report=self._reporter(call, 1 + 2 * retry["rounds"]),
        )


def completion_json(done: Completion) -> dict[str, Any]:
    """``completion`` of src/protocol/methods.ts."""
    return {
        "completion": done.text,
        "tokens": done.tokens,
        "prompt_tokens": done.prompt_tokens,
        "finish_reason": done.finish_reason,
    }


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

        assert config.engine.openai is not None
        if config.engine.openai.tools == "native":
            loaded.task.use_endpoint_tools()
        return SamplingRole(config, loaded, await OpenAIEngine.start(config, model, options["index"]))
    from rrr_workers.engines.vllm import VllmEngine

    vllm = await VllmEngine.start(config, model, day_of(options))
    loaded.use_tokenizer(vllm.tokenizer)
    return SamplingRole(config, loaded, vllm)


if __name__ == "__mp_main__":  # in a process that vLLM spawned
    die_with_parent()
if __name__ == "__main__":
    os.register_at_fork(after_in_child=die_with_parent)  # where vLLM forks instead
    serve("sampler", build)
