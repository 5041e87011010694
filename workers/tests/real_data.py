"""Real rows for tests, where they are at hand: the folder RRR_DATA, or shared/data beside the repository."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from rrr_workers.text import numbered_lines

FOLDER = Path(os.environ.get("RRR_DATA") or Path(__file__).parents[3] / "shared" / "data")


def rows(path: str) -> list[dict[str, Any]]:
    """The rows of a JSONL file of the folder; skips the test without it."""
    file = FOLDER / path
    if not file.is_file():
        pytest.skip(f"no {file}: set RRR_DATA")
    return [json.loads(line) for _, line in numbered_lines(file)]
