"""Every number of a report, recounted by scripts/recount.py, which shares no code with the report."""

import json
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness import PACKAGE
from recorded_run import EVERYTHING, RecordedRun

SCRIPTS = PACKAGE.parent / "scripts"
sys.path.insert(0, str(SCRIPTS))

from recount import audit  # noqa: E402
from recounting.documents import read_html, read_markdown  # noqa: E402
from recounting.expected import Expected, expect  # noqa: E402
from recounting.run import Run  # noqa: E402
from recounting.spelling import NUMBER  # noqa: E402

TAMPERED = 200


@dataclass
class Made:
    """A run and its report."""

    folder: Path
    expected: Expected
    markdown: str
    html: str


def report(run: RecordedRun) -> Made:
    folder = run.folder / "report"
    command = ["node", f"{PACKAGE.parent}/dist/main.js", "report", str(run.folder), "--out", str(folder)]
    made = subprocess.run(command, capture_output=True, text=True)
    assert made.returncode == 0, f"{made.stderr} (is dist built? npm run build)"
    markdown, html = ((folder / name).read_text(encoding="utf-8") for name in ("report.md", "report.html"))
    return Made(folder, expect(Run(run.folder)), markdown, html)


RUNS: dict[str, dict[str, Any]] = {
    "everything": {"eval": EVERYTHING, "benchmarks": True},
    "defaults": {},
    "shuffled": {"eval": {"modes": ["sampled"], "samples": 8}, "train": {"reward": "shuffled"}, "task": "function_calling"},
    "another model": {"eval": {"model": "/models/other-3B", "controls": ["hint"]}},
}


@pytest.fixture(scope="module", params=RUNS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    settings = dict(RUNS[request.param])
    benchmarks = settings.pop("benchmarks", False)
    run = RecordedRun(tmp_path_factory.mktemp("run"), seed=4, **settings)
    run.write(benchmarks=benchmarks)
    return report(run)


def wrong(made: Made, markdown: str, html: str) -> list[str]:
    return [f"{each}" for file in audit(made.expected, markdown, html) for each in file.wrong]


def test_every_number_of_a_report_is_recounted(made: Made) -> None:
    assert wrong(made, made.markdown, made.html) == []
