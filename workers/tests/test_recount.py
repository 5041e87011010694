"""Every number of a report, recounted by scripts/recount.py, which shares no code with the report."""

import random
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from harness import PACKAGE
from recorded_run import EVERYTHING, RecordedRun

sys.path.insert(0, str(PACKAGE.parent / "scripts"))

from recount import audit
from recounting.audit import Wrong
from recounting.expected import Expected, expect
from recounting.run import Run
from recounting.spelling import NUMBER

TAMPERED = 200
FILES = ["report.md", "report.html"]
RUNS: dict[str, dict[str, Any]] = {
    "everything": {"eval": EVERYTHING, "benchmarks": True},
    "defaults": {},
    "shuffled": {
        "eval": {"modes": ["sampled"], "samples": 8},
        "train": {"reward": "shuffled"},
        "task": "function_calling",
    },
    "another model": {"eval": {"model": "/models/other-3B", "controls": ["hint"]}},
}


@dataclass
class Made:
    """A run's report, and what it must say."""

    expected: Expected
    #: By name.
    files: dict[str, str]

    def wrong(self, file: str, text: str) -> list[Wrong]:
        return audit(self.expected, file, text).wrong


@pytest.fixture(scope="module", params=RUNS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    settings = dict(RUNS[request.param])
    benchmarks = settings.pop("benchmarks", False)
    # Of this seed no rate is a close call, such as 43.75 %, where a last digit may change.
    run = RecordedRun(tmp_path_factory.mktemp("run"), seed=2, **settings)
    run.write(benchmarks=benchmarks)
    folder = run.folder / "report"
    command = ["node", f"{PACKAGE.parent}/dist/main.js", "report", str(run.folder), "--out", str(folder)]
    made = subprocess.run(command, capture_output=True, text=True)
    assert made.returncode == 0, f"{made.stderr} (is dist built? npm run build)"
    return Made(expect(Run(run.folder)), {name: (folder / name).read_bytes().decode() for name in FILES})


@pytest.mark.parametrize("file", FILES)
def test_every_number_of_a_report_is_recounted(made: Made, file: str) -> None:
    assert made.wrong(file, made.files[file]) == []


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("made", ["everything"], indirect=True)
def test_a_number_that_is_changed_is_found(made: Made, file: str) -> None:
    chance = random.Random(1)
    text = made.files[file]
    places = list(numbers_in_html(text) if file.endswith(".html") else NUMBER.finditer(text))
    for place in chance.sample(places, TAMPERED):
        assert made.wrong(file, tampered(text, place, chance)), f"{place} is not checked"


def tampered(text: str, place: re.Match[str], chance: random.Random) -> str:
    """``text`` with one digit of the number there changed."""
    digits = [at for at in range(place.start(), place.end()) if text[at].isdigit()]
    at = chance.choice(digits)
    other = chance.choice([digit for digit in "0123456789" if digit != text[at]])
    return text[:at] + other + text[at + 1 :]


def numbers_in_html(html: str) -> Iterator[re.Match[str]]:
    """Those of its text, and of the charts' text."""
    for text in re.compile(r">([^<]+)<").finditer(html, html.index("</style>")):
        numbers = NUMBER.finditer(html, text.start(1), text.end(1))
        yield from (number for number in numbers if not html[: number.start()].endswith("&#"))
