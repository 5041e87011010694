"""`data stats` as a worker, and near duplicates."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness import WorkerProcess, resolved_config
from real_data import FOLDER, rows
from rrr_workers.config import parse_config
from rrr_workers.data.near_duplicates import near_duplicates, words_of
from rrr_workers.data.sources import typed_query
from rrr_workers.data.stats import describe
from rrr_workers.errors import UserError
from rrr_workers.tasks.registry import load_task


def call(module: str, log: Path, config: dict[str, Any], method: str, **params: Any) -> dict[str, Any]:
    with WorkerProcess(module, log) as worker:
        worker.start(config)
        worker.read_until("ready")
        worker.call(1, method, params)
        value: dict[str, Any] = worker.read_until("result")["value"]
        return value


def test_stats_of_generated_requests(tmp_path: Path) -> None:
    config = resolved_config(task={"name": "function_calling"}, data={"rows": 400})
    found = call("rrr_workers.roles.data_stats", tmp_path / "log", config, "stats")
    assert found["rows"] == 400 == sum(found["splits"].values())
    assert found["task"]["tools"] == 8
    assert found["task"]["calls_per_row"] == {"mean": pytest.approx(1.5, abs=0.1), "min": 1, "max": 2}
    assert found["task"]["tools_per_row"]["max"] == 4
    assert found["duplicates"]["across_split"] == 0


def test_stats_count_duplicates(tmp_path: Path) -> None:
    tools = [{"name": "f", "parameters": {"a": {"type": "int"}}}]
    texts = [f"Call f for number {n} of the long list of numbers, please" for n in range(200)]
    lines = [{"query": text, "tools": tools, "answers": [{"name": "f", "arguments": {"a": 1}}]} for text in texts]
    lines += [lines[0], {**lines[1], "query": lines[1]["query"].upper()}, {**lines[2], "answers": "no"}]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    config = parse_config(
        resolved_config(task={"name": "function_calling"}, data={"source": "jsonl", "path": str(data), "rows": None})
    )
    found = describe(config, load_task(config.task))
    assert (found["rows"], found["bad_rows"]) == (203, 1)
    duplicates = found["duplicates"]
    assert (duplicates["exact"], duplicates["same_problem"], duplicates["across_split"]) == (1, 1, 0)
    assert duplicates["near_across_split"]["test_rows"] == found["splits"]["test"]
    assert duplicates["near_across_split"]["examples"][0]["similarity"] == pytest.approx(10 / 12, abs=1e-3)


def test_stats_of_countdown_need_no_text() -> None:
    config = parse_config(resolved_config())
    found = describe(config, load_task(config.task))
    assert found["duplicates"]["near_across_split"] is None


def test_stats_of_real_rows() -> None:
    rows("function-calling/bfcl-1000.jsonl")
    path = str(FOLDER / "function-calling" / "bfcl-1000.jsonl")
    config = parse_config(
        resolved_config(
            task={"name": "function_calling", "options": {"match": "accepted"}},
            data={"source": "jsonl", "path": path, "rows": None},
        )
    )
    found = describe(config, load_task(config.task))
    assert (found["rows"], found["bad_rows"]) == (1000, 0)
    assert found["task"]["calls_per_row"]["mean"] == pytest.approx(1.747)
    assert found["task"]["tools_per_row"]["mean"] == pytest.approx(1.677)


def test_near_duplicates_are_those_that_comparing_all_pairs_finds() -> None:
    words = [*"abcdefghijklmn"]
    left = [" ".join(words[: 8 + n % 7]) + f" {n}" for n in range(60)]
    right = [text.upper().replace(" ", ", ") + "!" * (n % 3) for n, text in enumerate(left[::-1])]
    found = {(i, j) for i, j, _ in near_duplicates(left, right)}

    def similar(one: str, other: str) -> bool:
        a, b = ({w.strip(",!").lower() for w in text.split()} for text in (one, other))
        return len(a & b) / len(a | b) >= 0.8

    expected = {(i, j) for i, one in enumerate(left) for j, other in enumerate(right) if similar(one, other)}
    assert found <= expected
    assert len(found) >= 0.99 * len(expected)
    assert {(n, 59 - n) for n in range(60)} <= found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "call the tool f with 12 and 7",
            "\uff43\uff41\uff4c\uff4c the \uff54\uff4f\uff4f\uff4c f with \uff11\uff12 and 7",
        ),
        ("call the tool f with 12 and 7", "CALL, the tool (F): with... 12 and 7!"),
        ("find the stra\u00dfe", "find the STRASSE"),
        ("book the caf\u00e9", "book the cafe\u0301"),
        ("the \ufb01rst", "the first"),
    ],
)
def test_case_width_and_punctuation_make_no_difference(one: str, other: str) -> None:
    assert words_of(one) == words_of(other)
    assert list(near_duplicates([one], [other])) == [(0, 0, 1.0)]


def test_numbers_and_accents_do() -> None:
    assert words_of("add 12") != words_of("add 13")
    assert words_of("a r\u00e9sum\u00e9") != words_of("a resume")


def test_near_is_from_the_threshold_on() -> None:
    words = [*"abcdefghij"]
    left = [" ".join(words)]
    assert list(near_duplicates(left, [" ".join(words[:8])])) == [(0, 0, 0.8)]
    assert list(near_duplicates(left, [" ".join(words[:7])])) == []
    assert list(near_duplicates(["!"], ["?"])) == [(0, 0, 1.0)]  # no words at all


def test_equal_texts_beyond_a_bound_are_left_out() -> None:
    found = list(near_duplicates(["a b"], ["A b."] * 201))
    assert [j for _, j, _ in found] == list(range(200))


def test_the_samples_are_what_their_script_makes() -> None:
    script = Path(__file__).parents[2] / "scripts" / "make_datasets.py"
    subprocess.run([sys.executable, str(script), "--check"], check=True, timeout=60)


def test_a_typed_row_is_the_query_that_the_data_would_give(tmp_path: Path) -> None:
    columns = {"nums": "numbers", "target": "goal"}
    config = resolved_config(task={"name": "countdown"}, data={"columns": columns})
    typed = '{"numbers": [3, 5, 7], "goal": 26}'
    found = call("rrr_workers.roles.query", tmp_path / "log", config, "query", text=typed)
    loaded = load_task(parse_config(config).task)
    query = loaded.normalise({"nums": [3, 5, 7], "target": 26}, "here")
    assert found == {"id": query.id, "fields": json.dumps(query.fields)}
    assert typed_query(parse_config(config), loaded, '{"nums": [3, 5, 7], "target": 26}') == query


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"nums": [3]}', "--query: target is missing"),
        ("3, 5, 7 to 26", "--query: not a JSON object"),
        ('{"nums": [3', "--query: not JSON"),
    ],
)
def test_a_typed_row_that_is_none(text: str, said: str) -> None:
    config = parse_config(resolved_config(task={"name": "countdown"}))
    with pytest.raises(UserError, match=said) as caught:
        typed_query(config, load_task(config.task), text)
    assert "rrr try without --query" in str(caught.value.cure)


def test_the_only_field_may_be_typed_as_it_is() -> None:
    verifier = {"command": ["true"], "timeout_s": 1, "processes": 1}
    section = {"name": "custom", "options": {"fields": ["question"]}, "verifier": verifier}
    config = parse_config(resolved_config(task=section))
    assert typed_query(config, load_task(config.task), "Why?").fields == {"question": "Why?"}
