"""What the data holds reaches prompts and verifiers as it is, or is refused when the data is prepared."""

import json
import sys
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from harness import resolved_config
from rrr_workers.config import Config, parse_config
from rrr_workers.data.prepare import prepare
from rrr_workers.data.task_check import check_task
from rrr_workers.errors import UserError
from rrr_workers.tasks.base import Query
from rrr_workers.tasks.registry import load_task

ODD = [
    {"q": 12345678901234567890, "a": 9007199254740993},
    {"q": 12345678901234567890, "a": 9007199254740992},
    {"q": 5.0, "a": 1e-7},
    {"q": {"10": 1, "2": 2}, "a": -0.0},
    {"q": "line\u2028separator\u2029 and\u0085 next", "a": "\U0001f600"},
]

#: Passes the row's own answer.
JUDGE = """
import json
while True:
    asked = json.loads(input())
    print(json.dumps({"id": asked["id"], "passed": asked["completion"] == str(asked["query"]["a"])}), flush=True)
"""


def custom(data: dict[str, Any], **task: Any) -> Config:
    own = {"name": "custom", "options": {"fields": ["q", "a"], "reference": "a"}, **task}
    verifier = {"command": [sys.executable, "-c", JUDGE], "timeout_s": 10.0, "processes": 1}
    prompts = {"question": "{q}"}
    return parse_config(
        resolved_config(
            task={"verifier": verifier, "prompts": prompts, **own},
            data={"rows": None, "test_fraction": 0.0, "train_fraction": 1.0, **data},
        )
    )


def write(path: Path, *lines: str) -> dict[str, Any]:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return {"source": "jsonl", "path": str(path)}


def test_numbers_keys_and_line_separators_stay(tmp_path: Path) -> None:
    config = custom(write(tmp_path / "rows.jsonl", *(json.dumps(row) for row in ODD)))
    loaded = load_task(config.task)
    counts = prepare(config, loaded, tmp_path / "data")
    assert (counts["train"], counts["duplicates"]) == (len(ODD), 0)
    lines = (tmp_path / "data" / "train.jsonl").read_bytes().removesuffix(b"\n").split(b"\n")
    assert [json.dumps(json.loads(line)["fields"]) for line in lines] == [json.dumps(row) for row in ODD]
    shown = check_task(config, loaded, 1)["rows"][0]["prompt"]
    assert shown == [{"role": "user", "content": "12345678901234567890"}]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('{"q": "ok", "a": NaN}', "not plain JSON"),
        ('{"q": -Infinity, "a": 1}', "not plain JSON"),
        ('{"q": "\\ud800", "a": 1}', "a lone surrogate"),
        ('{"q": "ok", "a": ["x", {"\\udfff": 1}]}', "a lone surrogate"),
    ],
)
def test_what_json_in_utf_8_cannot_hold_is_a_bad_row(tmp_path: Path, row: str, message: str) -> None:
    data = write(tmp_path / "rows.jsonl", '{"q": "fine", "a": 1}', row)
    config = custom(data)
    with pytest.raises(UserError, match=rf"rows\.jsonl:2: {message}"):
        prepare(config, load_task(config.task), tmp_path / "data")
    config = custom({**data, "on_bad_row": "skip"})
    assert prepare(config, load_task(config.task), tmp_path / "data")["skipped"] == 1


#: A task of a user's own whose fields hold what its rows didn't.
NOT_A_NUMBER = """
from rrr_workers.api import Prompts, Query, Task, Verdict

class Own(Task):
    name = "own"
    error_kinds = ("wrong",)
    default_prompts = Prompts("{n}", "Why?", "Again")
    placeholders = ("n",)

    def normalise(self, raw):
        return Query(str(raw["n"]), {"n": float("nan")})

    def judge(self, query, completion, finish_reason):
        return Verdict(False, "wrong")
"""


def test_nan_in_a_users_own_fields_is_a_bad_row(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(NOT_A_NUMBER)
    data = write(tmp_path / "rows.jsonl", '{"n": 1}')
    config = custom(data, name=f"{tmp_path / 'own.py'}:Own", options={}, prompts={}, verifier=None)
    with pytest.raises(UserError, match=r"rows\.jsonl:1: not plain JSON"):
        prepare(config, load_task(config.task), tmp_path / "data")


CALLS = [
    [{"name": "light", "arguments": {"room": "attic"}}],
    [{"name": "alarm", "arguments": {"hour": 7}}, {"name": "light", "arguments": {"room": "hall"}}],
]
TOOLS = [
    {"name": "light", "description": "Dim.", "parameters": {"room": {"type": "str", "description": "where"}}},
    {"name": "alarm", "description": "Ring.", "parameters": {"hour": {"type": "int", "description": "when"}}},
]


def test_keys_that_arrow_filled_are_no_arguments(tmp_path: Path) -> None:
    rows = [
        {"query": f"Do {number}.", "tools": TOOLS, "answers": calls, "note": None} for number, calls in enumerate(CALLS)
    ]
    table = pyarrow.Table.from_pylist(rows)
    assert table.to_pylist()[0]["answers"][0]["arguments"] == {"room": "attic", "hour": None}  # what Arrow does
    parquet.write_table(table, tmp_path / "rows.parquet")
    config = parse_config(
        resolved_config(
            task={"name": "function_calling"},
            data={
                "source": "parquet",
                "path": str(tmp_path / "rows.parquet"),
                "rows": None,
                "test_fraction": 0.0,
                "train_fraction": 1,
            },
        )
    )
    loaded = load_task(config.task)
    assert prepare(config, loaded, tmp_path / "data")["skipped"] == 0
    for line, calls in zip((tmp_path / "data" / "train.jsonl").read_text().splitlines(), CALLS, strict=True):
        row = json.loads(line)
        query = Query(row["id"], row["fields"])
        assert loaded.judge(query, json.dumps(calls), "stop").kind == "passed"
        assert loaded.task.reference_answer(query) == json.dumps(calls)
