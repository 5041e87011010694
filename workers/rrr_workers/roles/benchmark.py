"""Benchmark worker: holds one model, and answers general benchmarks through lm-eval.

    python -m rrr_workers.roles.benchmark      (frames on stdin and stdout: rrr_workers/runtime/frames.py)

``start.options``: {model: folder or hub id, tasks: benchmarks that may be asked, files: their files by name, where
benchmarks.source is files, date: of the run}. Method ``benchmark``, whose parameters and result are in
src/protocol/methods.ts.
"""

import os
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rrr_workers.benchmarks.rows import Row, hub_set, read_rows
from rrr_workers.benchmarks.run import answer_items
from rrr_workers.config import Config
from rrr_workers.data.model_check import check_model
from rrr_workers.data.prepare import AtomicLines
from rrr_workers.engines.vllm import SEE_LOG, START_CURE
from rrr_workers.engines.vllm_args import prepare_environment
from rrr_workers.errors import CallFailed, UserError, WorkerFailed
from rrr_workers.runtime.guardian import die_with_parent
from rrr_workers.runtime.heartbeat import Heartbeat
from rrr_workers.runtime.one_method import OneMethod
from rrr_workers.runtime.role import Call, Role, day_of
from rrr_workers.runtime.serve import serve


async def build(config: Config, options: dict[str, Any]) -> Role:
    """What can be found wrong without loading the model is found before."""
    prepare_environment(config.workers.count * config.engine.tensor_parallel)
    if config.benchmarks.source == "files":
        os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    check_model(config)
    files = options["files"]
    sources = {task: files.get(task) or hub_set(task, config) for task in options["tasks"]}
    rows = {task: read_rows(task, source, config.benchmarks.items) for task, source in sources.items()}
    from rrr_workers.benchmarks.model import HarnessModel

    try:
        lm = HarnessModel(config, options["model"], day_of(options))
    except ValidationError as error:
        message = f"vLLM refuses {options['model']} under these settings: {error.errors()[0]['msg']}"
        raise UserError(message, cure="correct the sections model and engine of the config") from error
    except RuntimeError as error:  # the engine's processes have logged why
        raise WorkerFailed(f"vLLM did not start: {error}", cure=START_CURE) from error
    info = {"engine": "lm-eval on vllm", "model": options["model"], "max_model_len": lm.max_length}
    return OneMethod("benchmark", lambda call: _answer(call, lm, rows[call.params["task"]], config), info)


def _answer(call: Call, lm: Any, rows: list[Row], config: Config) -> dict[str, Any]:
    from vllm.v1.engine.exceptions import EngineDeadError

    task, output = call.params["task"], Path(call.params["output"])
    starting = Heartbeat(call.progress, task, config.workers.ready_timeout_s)

    def report(done: int, total: int) -> None:
        starting.stop()
        if call.stopping.is_set():
            raise CallFailed(f"{task} was stopped")
        call.progress(task, done, total)

    lm.report = report
    try:
        items = answer_items(lm, task, rows, config, call.params["max_gen_toks"])
    except EngineDeadError as error:
        raise WorkerFailed(f"the vLLM engine failed: {error}", cure=SEE_LOG) from error
    finally:
        starting.stop()
    output.parent.mkdir(parents=True, exist_ok=True)
    with AtomicLines(output) as lines:
        for item in items:
            lines.write({**item, "model": call.params["model"]})
    return {"items": len(items), **{what: sum(item[what] for item in items) for what in ("too_long", "cut")}}


if __name__ == "__mp_main__":  # in a process that vLLM spawned
    die_with_parent()
if __name__ == "__main__":
    os.register_at_fork(after_in_child=die_with_parent)  # where vLLM forks instead
    serve("benchmark", build)
