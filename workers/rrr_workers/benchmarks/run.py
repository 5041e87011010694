"""One benchmark of one model: lm-eval asks and scores, and each item is a line (``benchmarkItem`` of
src/run/records.ts)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rrr_workers.config import Config
from rrr_workers.hashing import content_hash

HERE = Path(__file__).parent
_SCORE = {"gsm8k": "exact_match", "math": "exact_match", "hellaswag": "acc_norm", "mmlu_pro": "exact_match"}
_PROMPT_DIGITS = 16


def answer_items(
    lm: Any, task: str, rows: Sequence[Mapping[str, Any]], config: Config, max_gen_toks: int
) -> list[dict[str, Any]]:
    """An item for each row, without its ``model``. ``lm`` is a :class:`~rrr_workers.benchmarks.model.HarnessModel`."""
    from lm_eval.evaluator import evaluate

    lm.refused.clear()
    lm.cut.clear()
    loaded = load_task(task, rows, config, max_gen_toks)
    found = evaluate(
        lm,
        {"tasks": {loaded.task_name: loaded}},
        apply_chat_template=config.benchmarks.chat_template and loaded.OUTPUT_TYPE == "generate_until",
        fewshot_as_multiturn=True,
        bootstrap_iters=0,
    )
    return [_item(task, sample, lm) for sample in found["samples"][loaded.task_name]]


def load_task(task: str, rows: Sequence[Mapping[str, Any]], config: Config, max_gen_toks: int) -> Any:
    """The task of this folder's YAML, with ``rows`` as its items."""
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=HERE, include_defaults=False, metadata={"rows": rows})
    loaded = manager.load([f"rrr_{task}"])["tasks"][f"rrr_{task}"]
    shots = config.benchmarks.shots.model_dump()
    if task in shots:
        loaded.set_config("num_fewshot", shots[task])
    if loaded.OUTPUT_TYPE == "generate_until":
        loaded.set_config("generation_kwargs", {"max_gen_toks": max_gen_toks}, update=True)
    return loaded


def _item(task: str, sample: Mapping[str, Any], lm: Any) -> dict[str, Any]:
    name = sample["doc"]["id"]
    too_long = name in lm.refused
    prompt = sample["arguments"][0][0]
    written = _SCORE[task] == "exact_match" and not too_long
    return {
        "id": name,
        "task": task,
        "score": 0 if too_long else int(sample[_SCORE[task]]),
        "too_long": too_long,
        "cut": name in lm.cut,
        "prompt": content_hash(prompt)[:_PROMPT_DIGITS],
        "completion": sample["resps"][0][0] if written else None,
    }
