"""What rrr costs: tokens/s of a real `rrr build-failures` over those of vLLM's own offline `LLM.generate`.

npm run --silent bench -- pool [--model tiny|smollm2] [--pairs 3] [--rows N]
last line: {"ratio": median over the pairs, "tokens_per_second": {"rrr": [...], "raw": [...]}, ...}

Both generate the same draws of the same queries: raw vLLM is given the prompts as text, the seeds and the limits of the
draws that rrr made, all in one call, on an engine with the same arguments. A pair is one rrr run and, right after it,
one call of raw vLLM. Left out are rrr's start-up and its first batch (tiny model), and raw vLLM's warm-up.
rrr's draws made ahead of need are not counted as tokens of its own. It needs rows by the thousand: a query's draws come
one after another, so the end of a run leaves the engine half empty, and of a short run that is a large part. On a CPU
both engines of the tiny model get a core to themselves.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from rrr_workers.config import parse_config
from rrr_workers.engines.vllm_args import engine_arguments, prepare_environment
from rrr_workers.episode import Sampler, question_messages
from rrr_workers.tasks.base import Query
from rrr_workers.tasks.registry import load_task
from support.mining import ROOT, Mined, give_the_engine_a_core, mine, progress

#: config, rows, results that warm rrr up, settings
MODELS: dict[str, tuple[str, int, int, dict[str, Any]]] = {
    "tiny": (
        "demo.yaml",
        20_000,
        1000,
        # More problems than the demo's world holds.
        {"task.options.generator.high": 16, "data.test_fraction": 0.05, "data.train_fraction": 0.95},
    ),
    "smollm2": ("smollm2-countdown.yaml", 200, 0, {"data.test_fraction": 0.05, "data.train_fraction": 0.95}),
}


class Raw:
    """vLLM's offline engine with the prompts and parameters of the draws of one rrr run."""

    def __init__(self, mined: Mined):
        from vllm import LLM, SamplingParams

        config = parse_config(mined.config)
        self._llm = LLM(**engine_arguments(config, config.model.name))
        tokenizer = self._llm.get_tokenizer()
        task, sampler = load_task(config.task), Sampler(config)
        self.prompts, self.params, self.places = [], [], []
        fields = {row["id"]: row["fields"] for row in map(json.loads, (mined.run / "data/train.jsonl").open())}
        for row in mined.tallies[mined.begun :]:
            query = Query(row["id"], fields[row["id"]])
            messages, tools = question_messages(task, query), task.tools(query)
            text = tokenizer.apply_chat_template(messages, tools=tools, add_generation_prompt=True, tokenize=False)
            for draw in range(row["draws"]):
                ours = sampler.params(query, "mine", draw)
                self.places.append((query.id, draw))
                self.prompts.append(text)
                self.params.append(
                    SamplingParams(
                        temperature=ours.temperature, top_p=ours.top_p, max_tokens=ours.max_tokens, seed=ours.seed
                    )
                )
        for _ in range(2):
            self._llm.generate(self.prompts[::8], self.params[::8], use_tqdm=False)

    def close(self) -> None:
        """End the engine's processes: Python would wait for them at its exit."""
        self._llm.llm_engine.engine_core.shutdown()

    def generate(self) -> tuple[float, int, dict[tuple[str, int], str]]:
        """(tokens/s, tokens, text of each draw)."""
        started = time.perf_counter()
        outputs = [output.outputs[0] for output in self._llm.generate(self.prompts, self.params, use_tqdm=False)]
        seconds = time.perf_counter() - started
        tokens = sum(len(output.token_ids) for output in outputs)
        return tokens / seconds, tokens, dict(zip(self.places, (output.text for output in outputs), strict=True))


def agree(mined: Mined, tokens: int, texts: dict[tuple[str, int], str]) -> bool:
    """Whether both generated the same: the failures' texts, and tokens in all. Always so in float32 on a CPU."""
    queries = {query for query, _ in texts}
    failures = map(json.loads, (mined.run / "failures/failures.jsonl").open())
    same_texts = all(texts[row["id"], row["draw"]] == row["completion"] for row in failures if row["id"] in queries)
    return same_texts and tokens == sum(row["completion_tokens"] for row in mined.tallies if row["id"] in queries)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, default="tiny")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--rows", type=int, help="default: as many as give a steady rate")
    options = parser.parse_args()
    config, rows, warm_up, settings = MODELS[options.model]
    rows = options.rows or rows
    settings = {**settings, "data.rows": rows, "data.train_rows": rows}
    if options.model == "tiny":
        give_the_engine_a_core()
    raw: Raw | None = None
    same = True
    speeds: dict[str, list[float]] = {"rrr": [], "raw": []}
    with tempfile.TemporaryDirectory(prefix="rrr-bench-") as folder:
        for pair in range(options.pairs):
            mined = mine(ROOT / "configs" / config, Path(folder, str(pair)), settings, min(warm_up, rows // 4))
            if raw is None:
                prepare_environment(parse_config(mined.config))
                os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
                raw = Raw(mined)
            speed, tokens, texts = raw.generate()
            speeds["rrr"].append(round(mined.tokens_per_second))
            speeds["raw"].append(round(speed))
            same = same and agree(mined, tokens, texts)
            progress(f"pair {pair + 1}: rrr {speeds['rrr'][-1]} tokens/s, raw vLLM {speeds['raw'][-1]} tokens/s")
    if raw:
        raw.close()
    ratios = [ours / theirs for ours, theirs in zip(speeds["rrr"], speeds["raw"], strict=True)]
    print(
        json.dumps(
            {
                "ratio": round(median(ratios), 3),
                "ratios": [round(ratio, 3) for ratio in ratios],
                "tokens_per_second": speeds,
                "draws": len(texts),
                "tokens": tokens,
                "same_draws": same,
            }
        )
    )


if __name__ == "__main__":
    main()
