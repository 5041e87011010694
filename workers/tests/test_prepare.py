"""From rows of any source to train.jsonl and test.jsonl: through the function, and once through a real process."""

import gzip
import json
import re
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness import WorkerProcess, resolved_config
from rrr_workers.config import Config, parse_config
from rrr_workers.data.model_check import check_model
from rrr_workers.data.prepare import prepare
from rrr_workers.data.splits import assign_split, split_key_of, split_position
from rrr_workers.data.stats import describe
from rrr_workers.errors import BugError, UserError
from rrr_workers.hashing import content_hash, derive_seed
from rrr_workers.tasks.base import Query
from rrr_workers.tasks.registry import load_task

GOOD = {"nums": [44, 19, 35], "target": 98}


def make_config(**sections: Any) -> Config:
    return parse_config(resolved_config(**sections))


def run(output: Path, **data: Any) -> dict[str, Any]:
    config = make_config(data={"rows": None, **data})
    result = prepare(config, load_task(config.task), output)
    parts = ("train", "test", "unused", "duplicates", "skipped")
    assert result["read"] == sum(result[part] for part in parts)
    return result


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_jsonl(path: Path, rows: list[Any]) -> str:
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return str(path)


def numbered(count: int) -> list[dict[str, Any]]:
    return [{"nums": [n, n + 1, n + 2], "target": 3 * n + 3} for n in range(1, count + 1)]


def test_splits_are_disjoint_ordered_and_whole(tmp_path: Path) -> None:
    rows = numbered(400)
    rows += [{"nums": list(reversed(row["nums"])), "target": row["target"]} for row in rows]
    path = write_jsonl(tmp_path / "rows.jsonl", rows)
    result = run(tmp_path / "out", source="jsonl", path=path)
    train, test = read(tmp_path / "out" / "train.jsonl"), read(tmp_path / "out" / "test.jsonl")
    assert (result["read"], result["train"], result["test"]) == (800, len(train), len(test))
    assert 100 < len(test) < 220  # a fifth, by hash
    keys = [{tuple(sorted(row["fields"]["nums"])) for row in part} for part in (train, test)]
    assert not keys[0] & keys[1]
    for part in (train, test):
        assert set(part[0]) == {"id", "index", "fields"}
        assert [row["index"] for row in part] == sorted(row["index"] for row in part)
        assert all(rows[row["index"]] == row["fields"] for row in part)
    assert len({row["id"] for row in train + test}) == 800
    assert not list((tmp_path / "out").glob("*.tmp"))


def test_a_split_that_a_key_crosses_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", [{"nums": [1, 2], "target": 3}, {"nums": [2, 1], "target": 3}])
    assigned = iter(["train", "test"])
    monkeypatch.setattr("rrr_workers.data.prepare.assign_split", lambda *_: next(assigned))
    with pytest.raises(BugError, match="both sides"):
        run(tmp_path / "out", source="jsonl", path=path)
    assert not list((tmp_path / "out").iterdir())


def test_test_queries_stay_when_the_train_share_changes(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", numbered(300))
    shares = {}
    for share in (0.0, 0.3, 0.8):
        result = run(tmp_path / str(share), source="jsonl", path=path, train_fraction=share)
        shares[share] = read(tmp_path / str(share) / "test.jsonl")
        assert result["unused"] == 300 - result["train"] - result["test"]
    assert shares[0.0] == shares[0.3] == shares[0.8]
    assert read(tmp_path / "0.0" / "train.jsonl") == []


def test_limits_take_the_first_rows(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", numbered(300))
    run(tmp_path / "all", source="jsonl", path=path)
    result = run(tmp_path / "few", source="jsonl", path=path, train_rows=7, test_rows=3)
    assert (result["train"], result["test"], result["unused"]) == (7, 3, 290)
    for name, rows in (("train.jsonl", 7), ("test.jsonl", 3)):
        assert read(tmp_path / "few" / name) == read(tmp_path / "all" / name)[:rows]
    assert run(tmp_path / "read", source="jsonl", path=path, rows=20)["read"] == 20


def test_a_limit_is_reached_and_not_passed(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", numbered(40))
    for limit in (0, 1, 1000):
        result = run(tmp_path / "out", source="jsonl", path=path, train_rows=limit, test_rows=limit)
        whole = run(tmp_path / "all", source="jsonl", path=path)
        assert (result["train"], result["test"]) == (min(limit, whole["train"]), min(limit, whole["test"]))
        for name in ("train", "test"):
            assert len(read(tmp_path / "out" / f"{name}.jsonl")) == result[name]


def test_the_test_split_comes_first() -> None:
    for key in range(500):
        position = split_position(key)
        assert 0 <= position < 1
        assert assign_split(key, position + 1e-6, 1.0) == "test"
        assert assign_split(key, position, 1.0) == "train"  # the test split ends before its share
        assert assign_split(key, 0.0, position) == "unused"
        assert assign_split(key, 0.0, position + 1e-6) == "train"
        for share in (0.0, 0.3, 0.8):
            assert (assign_split(key, 0.2, share) == "test") == (position < 0.2)
            assert (assign_split(key, 0.2, share) == "train") == (0.2 <= position < 0.2 + share)


def test_the_split_key_decides_and_without_one_the_id() -> None:
    assert split_key_of(Query("id", {}, [1, 2])) == [1, 2]
    assert split_key_of(Query("id", {})) == "id"
    for empty in (0, "", [], False):  # keys like any other
        assert split_key_of(Query("id", {}, empty)) == empty


def test_duplicates_are_counted_once(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", [GOOD, {**GOOD, "note": "again"}, GOOD, {"nums": [1, 2], "target": 3}])
    result = run(tmp_path / "out", source="jsonl", path=path)
    assert (result["duplicates"], result["train"] + result["test"]) == (2, 2)


BAD_LINES = [
    (
        b'{"nums": [1, 2], "target": ',
        'rows.jsonl:2: not JSON: Expecting value: line 1 column 27 (char 26) in {"nums": [1, 2],',
    ),
    (b"[1, 2, 3]", "rows.jsonl:2: not a JSON object but list: [1, 2, 3]"),
    (b'{"nums": [1, 2], "target": "\xff"}', "rows.jsonl:2: not UTF-8: byte 0xff at column 29"),
    (b'{"nums": [1, 2]}', 'rows.jsonl:2: target is missing in {"nums": [1, 2]}'),
    (b'{"nums": [1, "x"], "target": 3}', "rows.jsonl:2: nums[1] must be a whole number from 1 to 1000000000, got 'x'"),
    (b'{"nums": [1, 2], "target": ' + b"9" * 5000 + b"}", "rows.jsonl:2: not JSON: Exceeds the limit"),
    (b"[" * 100_000, "rows.jsonl:2: not JSON: maximum recursion depth"),
    (b"\x00\x01", "rows.jsonl:2: not JSON"),
]


@pytest.mark.parametrize(("line", "message"), BAD_LINES)
def test_a_bad_row_names_its_place_and_content(tmp_path: Path, line: bytes, message: str) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", [GOOD, line])
    with pytest.raises(UserError) as caught:
        run(tmp_path / "out", source="jsonl", path=path)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 600
    assert "on_bad_row" in (caught.value.cure or "")
    assert not list((tmp_path / "out").iterdir())


def test_bad_rows_can_be_skipped_and_are_counted(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", [GOOD, *(line for line, _ in BAD_LINES), {"nums": [1, 2], "target": 3}])
    result = run(tmp_path / "out", source="jsonl", path=path, on_bad_row="skip")
    assert (result["skipped"], result["train"] + result["test"]) == (len(BAD_LINES), 2)
    assert len(result["skipped_examples"]) == 5
    assert "rows.jsonl:2: not JSON" in result["skipped_examples"][0]


def test_rows_that_collide_are_told_apart_from_duplicates(tmp_path: Path) -> None:
    (tmp_path / "same.py").write_text(
        "from rrr_workers.tasks.countdown.task import Countdown\n"
        "from rrr_workers.api import Query\n\n"
        "class Same(Countdown):\n"
        "    def normalise(self, raw):\n"
        "        return Query(str(raw['target']), dict(raw))\n"
    )
    rows = [{"nums": [1, 2], "target": 3}, {"nums": [1, 2], "target": 3}, {"nums": [3], "target": 3}]
    path = write_jsonl(tmp_path / "rows.jsonl", rows)
    config = make_config(
        task={"name": f"{tmp_path / 'same.py'}:Same"}, data={"source": "jsonl", "path": path, "rows": None}
    )
    duplicates = describe(config, load_task(config.task))["duplicates"]
    assert (duplicates["exact"], duplicates["colliding"]) == (2, 1)
    result = prepare(config, load_task(config.task), tmp_path / "out")
    assert result["duplicates"] == 2
    assert [each[:60] for each in result["warnings"]] == [
        "1 rows have the id of an earlier one and other fields, and a"
    ]


def test_gzip_is_read_as_what_it_holds(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "rows.jsonl", numbered(50))
    packed = tmp_path / "rows.jsonl.gz"
    packed.write_bytes(gzip.compress((tmp_path / "rows.jsonl").read_bytes()))
    for name in ("rows.jsonl", "rows.jsonl.gz"):
        run(tmp_path / name[-2:], source="jsonl", path=str(tmp_path / name))
    assert (tmp_path / "nl" / "train.jsonl").read_bytes() == (tmp_path / "gz" / "train.jsonl").read_bytes()
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"rows.jsonl.gz is cut or damaged"):
        run(tmp_path / "out", source="jsonl", path=str(packed))


ROWS = [{"nums": [1, 2], "target": 3}, {"nums": [1, 3], "target": 4}]
OTHER_KINDS = [
    ("".join(json.dumps(row) + "\n" for row in ROWS).encode("utf-16"), "in UTF-16", "iconv -f UTF-16 "),
    ("".join(json.dumps(row) + "\n" for row in ROWS).encode("utf-16-le"), "in UTF-16LE", "iconv -f UTF-16LE "),
    (b"nums,target\n1 2,3\n1 3,4\n", "CSV, not JSON lines", "csv.DictReader"),
    (b"nums\ttarget\n1 2\t3\n", "TSV, not JSON lines", "delimiter"),
    (json.dumps(ROWS).encode(), "a JSON array, not JSON lines", "jq -c '.[]'"),
    (json.dumps(ROWS, indent=1).encode(), "a JSON array, not JSON lines", "jq -c '.[]'"),
    (json.dumps(ROWS[0], indent=1).encode(), "JSON over many lines", "jq -c . "),
    (b'{"nums": [1, 2],\n "target": 3}\n', "JSON over many lines", "jq -c . "),
    (b"PAR1....", "a parquet file", "data.source: parquet"),
    (b"PK\x03\x04....", "a zip archive", "unzip"),
    (b"version https://git-lfs.github.com/spec/v1\noid", "only a pointer", "git lfs pull"),
]


@pytest.mark.parametrize(("content", "what", "cure"), OTHER_KINDS)
def test_a_file_of_another_kind_is_named_with_the_way_to_json_lines(
    tmp_path: Path, content: bytes, what: str, cure: str
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(UserError, match=re.escape(f"data.path: {path} is {what}")) as caught:
        run(tmp_path / "out", source="jsonl", path=str(path), on_bad_row="skip")
    assert cure in (caught.value.cure or "")


def test_a_bad_first_row_makes_no_other_kind_of_file(tmp_path: Path) -> None:
    for line in (b"oops, no", b'{"nums": [1, 2],', b"[1, 2]"):
        path = write_jsonl(tmp_path / "rows.jsonl", [line, GOOD])
        assert run(tmp_path / "out", source="jsonl", path=path, on_bad_row="skip")["skipped"] == 1, line


def test_a_finished_split_survives_a_failing_rerun(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", numbered(50))
    run(tmp_path / "out", source="jsonl", path=path)
    before = (tmp_path / "out" / "train.jsonl").read_bytes()
    write_jsonl(tmp_path / "rows.jsonl", [*numbered(60), b"oops"])
    with pytest.raises(UserError):
        run(tmp_path / "out", source="jsonl", path=path)
    assert (tmp_path / "out" / "train.jsonl").read_bytes() == before


def test_columns_are_renamed(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", [{"numbers": [1, 2], "goal": 3}])
    columns = {"nums": "numbers", "target": "goal"}
    result = run(tmp_path / "out", source="jsonl", path=path, columns=columns)
    assert result["train"] + result["test"] == 1
    with pytest.raises(UserError, match=r"column 'aim' of data.columns is missing; the row has 'numbers', 'goal'"):
        run(tmp_path / "out", source="jsonl", path=path, columns={"target": "aim"})


def test_parquet(tmp_path: Path) -> None:
    import pyarrow as arrow
    from pyarrow import parquet

    path = tmp_path / "rows.parquet"
    parquet.write_table(arrow.Table.from_pylist(numbered(2500)), path)
    result = run(tmp_path / "out", source="parquet", path=str(path))
    assert (result["read"], result["skipped"]) == (2500, 0)
    write_jsonl(tmp_path / "rows.jsonl", numbered(2500))
    run(tmp_path / "same", source="jsonl", path=str(tmp_path / "rows.jsonl"))
    assert (tmp_path / "out" / "test.jsonl").read_bytes() == (tmp_path / "same" / "test.jsonl").read_bytes()
    parquet.write_table(arrow.Table.from_pylist([GOOD, {"nums": [1], "target": None}]), path)
    with pytest.raises(UserError, match=r"rows.parquet row 2: target is missing"):
        run(tmp_path / "out", source="parquet", path=str(path))
    path.write_bytes(b"PAR1 this is not parquet")
    with pytest.raises(UserError, match="not a readable parquet file"):
        run(tmp_path / "out", source="parquet", path=str(path))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"source": "jsonl", "path": "/nowhere/rows.jsonl"}, "data.path: can't read /nowhere/rows.jsonl: No such file"),
        ({"source": "jsonl", "path": "/"}, "data.path: can't read /: Is a directory"),
        (
            {"source": "parquet", "path": "/nowhere.parquet"},
            "data.path: /nowhere.parquet is not a readable parquet file",
        ),
    ],
)
def test_data_that_is_gone_since_the_command_line_looked_is_a_user_error(
    tmp_path: Path, data: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        run(tmp_path / "out", **data)
    assert caught.value.cure


def test_an_empty_file_gives_empty_splits(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n\n")
    assert run(tmp_path / "out", source="jsonl", path=str(path))["read"] == 0
    assert read(tmp_path / "out" / "test.jsonl") == []


def test_the_generator_s_rows_depend_on_the_seed_alone(tmp_path: Path) -> None:
    data = {"source": "generator", "rows": 60}
    task = {"options": {"generator": {"numbers": [3]}}}
    files = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        config = make_config(seed=seed, data=data, task=task)
        prepare(config, load_task(config.task), tmp_path / name)
        files.append((tmp_path / name / "train.jsonl").read_bytes())
    assert files[0] == files[1] != files[2]


def test_models_are_checked_before_anything_is_loaded(tmp_path: Path) -> None:
    def check(name: Path | str, engine: str = "vllm") -> None:
        check_model(make_config(model={"name": str(name)}, engine={"name": engine}))

    with pytest.raises(UserError, match=f"{tmp_path}/gone has no weights"):
        check(tmp_path / "gone")
    with pytest.raises(UserError, match="has no weights"):
        check(tmp_path)
    with pytest.raises(UserError, match=r"model.name: 'a/b/c' is neither a folder nor a hub id"):
        check("a/b/c")
    check("a/b/c", engine="openai")


def test_a_hub_that_cannot_be_reached_is_a_user_error(tmp_path: Path) -> None:
    """In a process of its own: the hub's address is read when its library is imported."""
    config = resolved_config(model={"name": "nobody/nothing"}, data={"source": "hub", "dataset": "nobody/nothing"})
    closed = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}
    with WorkerProcess("rrr_workers.roles.prepare", tmp_path / "log", closed) as worker:
        worker.start(config)
        worker.read_until("hello")
        frame = worker.read(60)
        assert frame
        assert (frame["type"], frame["error"]["type"]) == ("fatal", "user")
        assert "'nobody/nothing' is not in the local cache and the hub can't be reached" in frame["error"]["message"]
        assert "HF_ENDPOINT" in frame["error"]["cure"]
    config["engine"]["name"] = "openai"
    with WorkerProcess("rrr_workers.roles.prepare", tmp_path / "log", {**closed, "HF_HUB_OFFLINE": "1"}) as worker:
        worker.start(config)
        worker.call(1, "prepare", {"output": str(tmp_path / "out")})
        worker.read_until("ready")
        frame = worker.read(60)
        assert frame
        assert (frame["type"], frame["error"]["type"]) == ("error", "user")
        assert "nobody/nothing" in frame["error"]["message"]


def test_the_role_as_a_process(tmp_path: Path) -> None:
    config = resolved_config(engine={"name": "openai"}, data={"rows": 200})
    with WorkerProcess("rrr_workers.roles.prepare", tmp_path / "log") as worker:
        begun = time.monotonic()
        assert worker.read_until("hello")["role"] == "prepare"
        worker.start(config)
        worker.call(1, "prepare", {"output": str(tmp_path / "out")})
        assert worker.read_until("ready")["info"] == {"task": "countdown"}
        loaded = [library.path for library in psutil.Process(max(worker.group())).memory_maps()]
        result = worker.read_until("result", 30)["value"]
        assert time.monotonic() - begun < 15
        assert not [path for path in loaded if "libtorch" in path]
        worker.send({"type": "stop"})
        assert worker.read() == {"type": "bye", "reason": "stopped"}
    assert (result["read"], result["unused"], result["skipped_examples"]) == (200, 0, [])
    assert len(read(tmp_path / "out" / "train.jsonl")) == result["train"]
    assert set(result["prompts"]) == {"system", "question", "reflection", "retry", "bare_retry", "hint"}


def test_a_template_with_an_unknown_placeholder_stops_the_role(tmp_path: Path) -> None:
    config = resolved_config(task={"prompts": {"question": "{numbrs}"}})
    with WorkerProcess("rrr_workers.roles.prepare", tmp_path / "log") as worker:
        worker.start(config)
        worker.read_until("hello")
        frame = worker.read()
        assert frame
        assert frame["error"]["message"] == "task.prompts.question: unknown placeholder {numbrs}"
        assert worker.process.wait(5) == 1


def test_hashes_do_not_change() -> None:
    """Seeds, ids and splits of finished runs depend on these."""
    assert content_hash({"b": [1, "\u00e9"], "a": None}).startswith("f8f17faab95c0248")
    assert derive_seed(0, "0123456789abcdef", "mine", 3) == 1751594029
    assert split_position([1, 2, 3]) == 0.7156
