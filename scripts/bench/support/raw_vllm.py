"""vLLM alone, at the draws of a finished run of build-failures, on an engine with the same arguments.

    python raw_vllm.py RUN JOURNAL

It does what ``LLM.generate`` does with all these draws in one call: ``LLM.enqueue`` takes prompts as text, tokenizes
them and gives them to the engine, and the engine's ``step`` brings what has finished. But here the two take turns, so
that the first draws needn't wait until all the prompts are tokenized; the engine always has many more draws waiting
than it runs at once. JOURNAL gets a line for each finished draw: {"id", "draw", "completion", "tokens"}. That costs
about 5 microseconds a draw, and a write each time some are finished.
"""

import json
import sys
from itertools import islice
from pathlib import Path
from typing import Any

from rrr_workers.config import Config, parse_config
from rrr_workers.draws import draw_seed
from rrr_workers.engines.chat import vllm_params
from rrr_workers.engines.vllm_args import engine_arguments, prepare_environment
from rrr_workers.episode import Decoding, next_prompt
from rrr_workers.tasks.base import Query
from rrr_workers.tasks.registry import load_task

#: Draws that the engine has and hasn't finished, in multiples of those it runs at once; draws added at a time.
_BACKLOG, _AT_A_TIME = 4, 64


def draws_of(run: Path, config: Config, tokenizer: Any) -> list[tuple[str, int, str, Any]]:
    """Query, number, prompt and ``vllm.SamplingParams`` of every draw that counts, in the order of the data."""
    loaded = load_task(config.task)
    loaded.use_tokenizer(tokenizer)
    decoding = Decoding(config, loaded)
    draws = []
    with (run / "data" / "train.jsonl").open() as queries, (run / "failures" / "tallies.jsonl").open() as tallies:
        for row, tally in zip(map(json.loads, queries), map(json.loads, tallies), strict=True):
            query = Query(row["id"], row["fields"])
            messages, tools = next_prompt(loaded, query), loaded.tools(query)
            prompt = tokenizer.apply_chat_template(messages, tools=tools, add_generation_prompt=True, tokenize=False)
            for draw in range(tally["draws"]):
                seed = draw_seed(config.seed, query.id, draw)
                draws.append((query.id, draw, prompt, vllm_params(decoding.answer(seed))))
    return draws


def main() -> None:
    run, journal = map(Path, sys.argv[1:])
    config = parse_config(json.loads((run / "failures" / "config.json").read_text()))
    prepare_environment(config.workers.count * config.engine.tensor_parallel)
    from vllm import LLM

    llm = LLM(**engine_arguments(config, config.model.name))
    engine = llm.llm_engine
    draws = draws_of(run, config, llm.get_tokenizer())
    waiting = iter(draws)
    backlog = _BACKLOG * config.workers.max_in_flight
    with journal.open("w") as lines:
        while True:
            while engine.get_num_unfinished_requests() < backlog and (added := list(islice(waiting, _AT_A_TIME))):
                llm.enqueue([draw[2] for draw in added], [draw[3] for draw in added], use_tqdm=False)
            if not engine.has_unfinished_requests():
                break
            finished = [output for output in engine.step() if output.finished]
            for output in finished:
                query, number, *_ = draws[int(output.request_id)]
                (done,) = output.outputs
                record = {"id": query, "draw": number, "completion": done.text, "tokens": len(done.token_ids)}
                lines.write(json.dumps(record) + "\n")
            if finished:
                lines.flush()
    engine.engine_core.shutdown()


if __name__ == "__main__":
    main()
