"""Recounts a report from the files of its run, and says of every number in it whether it is right.

    .venv/bin/python scripts/recount.py RUN [--report FOLDER]

It shares no code with the report: numbers are counted here again, statistics are those of scipy and statsmodels, or
written from the papers. Every number in the text of report.md and report.html is held against them, by its place; model
text, the configuration, samples.csv and the samples within the page are held against the run's files. Of the charts the
axes, bars, intervals and lines are measured, to a tenth of a pixel. Ends with {"numbers": N, "wrong": 0}; where
something is wrong, it is listed, and the exit code is 1.
"""

import argparse
import json
import sys
from pathlib import Path

from recounting.audit import Audit
from recounting.documents import read_html, read_markdown
from recounting.expected import Expected, expect
from recounting.run import Run, read_lines

TOO_MANY = "The samples are more than a page holds"
#: The last is not there where the report was made without samples.
FILES = ("report.md", "report.html", "samples.csv")


def audit(expected: Expected, file: str, text: str) -> Audit:
    found = Audit(expected, file)
    if file.endswith(".csv"):
        found.read_csv(text)
    else:
        found.read(read_markdown(text) if file.endswith(".md") else read_html(text))
    if file.endswith(".html") and expected.samples and TOO_MANY not in text:
        found.read_embedded(text)
    return found


def check_data(run: Run) -> list[str]:
    """Files that hold another number of queries than the summary of the data says."""
    counts = {name: sum(1 for _ in read_lines(run.folder / "data" / f"{name}.jsonl")) for name in ("train", "test")}
    return [
        f"data/summary.json: {run.data[name]} queries for {name}; the file has {count}"
        for name, count in counts.items()
        if count not in (0, run.data[name])
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description="Recount a report from the files of its run.")
    parser.add_argument("run", type=Path, help="the run directory")
    parser.add_argument("--report", type=Path, help="folder of report.md and report.html (default: RUN/eval)")
    options = parser.parse_args()
    run = Run(options.run)
    folder = options.report or options.run / "eval"
    texts = {file: (folder / file).read_bytes().decode() for file in FILES if (folder / file).exists()}
    expected = expect(run, samples="samples.csv" in texts)
    audits = [audit(expected, file, text) for file, text in texts.items()]
    wrong = check_data(run)
    wrong += [f"{w.place}\n  in the report: {w.in_report}\n  recounted: {w.recounted}" for a in audits for w in a.wrong]
    for each in wrong:
        print(each, file=sys.stderr)
    print(json.dumps({"numbers": sum(each.numbers for each in audits), "wrong": len(wrong)}))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
