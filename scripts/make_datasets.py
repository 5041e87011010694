#!/usr/bin/env python3
"""Write the samples under datasets/ from the tasks' own generators.

.venv/bin/python scripts/make_datasets.py [--check]      (--check: fail where a file differs)
"""

import argparse
import json
from pathlib import Path

from rrr_workers.tasks.base import Task
from rrr_workers.tasks.countdown.task import Countdown
from rrr_workers.tasks.function_calling.task import FunctionCalling

FOLDER = Path(__file__).parent.parent / "datasets"
ROWS = 200

README = f"""# Samples

Made by `scripts/make_datasets.py` from the generators of rrr's own tasks; nothing in them is taken from another data
set. Apache-2.0, like the rest of rrr.

| file | rows | columns |
|---|---|---|
| countdown-{ROWS}.jsonl | {ROWS} | `nums`, `target` |
| function-calling-{ROWS}.jsonl | {ROWS} | `query`, `tools`, `answers` (JSON text) |

The columns are those of Jiayi-Pan/Countdown-Tasks-3to4 and Salesforce/xlam-function-calling-60k.
They are for trying things out: a run needs more rows. The sets of the paper come from the hub (`data.source: hub`);
xlam-function-calling-60k is gated: accept its terms on its page there and set `HF_TOKEN`.
"""


def countdown_rows() -> list[str]:
    return [json.dumps(row) for row in Countdown().generate(ROWS, seed=1)]


def function_calling_rows() -> list[str]:
    task: Task = FunctionCalling({"generator": {"max_calls": 3, "max_tools": 6}})
    rows = []
    for row in task.generate(ROWS, seed=1):
        texts = {column: json.dumps(row[column]) for column in ("tools", "answers")}
        rows.append(json.dumps({"query": row["query"], **texts}))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    texts = {
        "README.md": README,
        f"countdown-{ROWS}.jsonl": "\n".join(countdown_rows()) + "\n",
        f"function-calling-{ROWS}.jsonl": "\n".join(function_calling_rows()) + "\n",
    }
    for name, text in texts.items():
        path = FOLDER / name
        if not check:
            path.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            raise SystemExit(f"{path} is not what this script makes: run it without --check")


if __name__ == "__main__":
    main()
