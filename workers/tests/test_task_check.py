"""`task check`: tasks that hold, and tasks that don't, each with the problem named and its cure."""

import json
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from harness import WorkerProcess, resolved_config
from rrr_workers.config import parse_config
from rrr_workers.data.task_check import check_task
from rrr_workers.errors import UserError
from rrr_workers.tasks.countdown.generator import GeneratorOptions, generate_problems
from rrr_workers.tasks.countdown.task import Countdown
from rrr_workers.tasks.registry import load_task

ECHO = """
    from rrr_workers.api import BadRow, Prompts, Query, Task, Verdict

    class Echo(Task):
        name = "echo"
        error_kinds = ("other", "nothing")
        default_prompts = Prompts("Say {word}", "Why not?", "Again")
        placeholders = ("word",)

        def normalise(self, raw):
            if not raw["word"]:
                raise BadRow("word is empty")
            return Query(raw["word"], {"word": raw["word"]})

        def judge(self, query, completion, finish_reason):
            if completion == query.fields["word"]:
                return Verdict(True, "passed")
            return Verdict(False, "other" if completion else "nothing")

        def reference_answer(self, query):
            return query.fields["word"]

        def corruptions(self, query):
            yield query.fields["word"] + "!", "other"
"""
ROWS = [{"word": "a"}, {"word": "b"}]


def check(
    folder: Path, source: str, rows: list[dict[str, Any]], count: int = 5, model: str = "none/none", **data: Any
) -> dict[str, Any]:
    (folder / "echo.py").write_text(textwrap.dedent(source), encoding="utf-8")
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    config = parse_config(
        resolved_config(
            model={"name": model},
            task={"name": f"{folder / 'echo.py'}:Echo"},
            data={"source": "jsonl", "path": str(folder / "rows.jsonl"), "rows": None, **data},
        )
    )
    return check_task(config, load_task(config.task), count)


def test_the_worker_shows_prompts_and_verdicts(tmp_path: Path) -> None:
    with WorkerProcess("rrr_workers.roles.task_check", tmp_path / "log") as worker:
        worker.start(resolved_config(task={"name": "function_calling"}))
        worker.read_until("ready")
        worker.call(1, "check", {"rows": 3})
        found = worker.read_until("result")["value"]
    assert (found["task"], found["problems"], found["bad_rows"], found["notes"]) == ("function_calling", [], [], [])
    assert len(found["rows"]) == 3
    for row in found["rows"]:
        assert "These tools are available" in row["prompt"][0]["content"]
        assert [check["source"] for check in row["checks"]][:3] == ["reference", "empty", "other row"]
        assert {"no_call", "not_parsable", "unknown_tool", "wrong_argument"} <= {c["kind"] for c in row["checks"]}


def test_a_task_that_holds(tmp_path: Path) -> None:
    found = check(tmp_path, ECHO, ROWS)
    assert found["problems"] == found["notes"] == found["bad_rows"] == []
    assert found["rows"][0]["prompt"] == [{"role": "user", "content": "Say a"}]
    assert [(c["source"], c["answer"], c["kind"], c["ok"]) for c in found["rows"][0]["checks"]] == [
        ("reference", "a", "passed", True),
        ("empty", "", "nothing", True),
        ("other row", "b", "other", True),
        ("corrupted", "a!", "other", True),
    ]


@pytest.mark.parametrize(
    ("change", "message", "cure"),
    [
        (("if completion ==", "if not completion or completion =="), 'the empty answer "" passed', "reject it"),
        (('== query.fields["word"]', "!= ''"), 'the corrupted answer "a!" passed', "reject it"),
        (('completion == query.fields["word"]', "False"), 'the reference answer "a" was judged other', "reference"),
        (('+ "!", "other"', '+ "!", "nothing"'), 'corrupted answer "a!" was judged other, not nothing', "corruptions"),
        (('("other", "nothing")', '("other",)'), "kind 'nothing', which is not among error_kinds", "error_kinds"),
        (('return Verdict(False, "other"', 'x = (False, "other"'), "judge gave None", "return a Verdict"),
        (('Verdict(True, "passed")', 'Verdict(True, "good")'), "passed=True with the kind 'good'", '"passed"'),
        (("if completion ==", "if completion[0] =="), r'judge of "" raised IndexError: .*echo.py:16', "correct it"),
        (('raw["word"]:', 'raw["wrod"]:'), "normalise raised KeyError: 'wrod', at .*echo.py:11", "correct it"),
        (('Query(raw["word"],', "Query(7,"), "the id 7, which is no text", "content_hash"),
        (('Query(raw["word"],', 'Query("same",'), r"has the id of .*rows.jsonl:1", "content_hash"),
        (('{"word": raw["word"]})', '{"word": (1, 2)})'), "isn't plain JSON", "no tuples"),
        (('return query.fields["word"]', "return 7"), "reference_answer gave 7", "return a text"),
        (('+ "!", "other"', '+ "!", "other", 7'), "corruptions raised ValueError", "correct it"),
        (('"other" if completion else "nothing")', '"other", 7)'), "judge gave Verdict", "texts"),
        (('return Verdict(True, "passed")', "raise BadRow('x')"), "judge of .* raised BadRow", "correct it"),
        (("return Query(", "Query("), "normalise gave None", "return a Query"),
        (
            ('return Verdict(True, "passed")', "import sys; sys.exit(1)"),
            "judge of .* raised SystemExit: 1",
            "correct it",
        ),
        (('Verdict(True, "passed")', 'Verdict(1, "passed")'), "passed=1, of the type builtins.int", "True or False"),
        (('("word",)', '("word", "hint")\n\n        prompt_fields = lambda self, query: {}'), "KeyError", "correct it"),
    ],
)
def test_a_task_that_will_not_do(tmp_path: Path, change: tuple[str, str], message: str, cure: str) -> None:
    assert change[0] in ECHO
    (problem, *_) = check(tmp_path, ECHO.replace(*change), ROWS)["problems"]
    assert problem["place"].startswith(f"{tmp_path}/rows.jsonl:")
    with pytest.raises(Exception, match=message):
        raise Exception(problem["message"])
    assert cure in problem["cure"]


def test_a_verdict_that_is_wrong_on_every_row_is_told_for_each(tmp_path: Path) -> None:
    found = check(tmp_path, ECHO.replace('== query.fields["word"]', "!= ''"), ROWS)
    assert len(found["problems"]) == 2
    assert "does the verifier look at the row?" in found["notes"][0]
    assert [check["ok"] for check in found["rows"][0]["checks"]] == [True, True, True, False]


def test_rows_that_the_task_refuses(tmp_path: Path) -> None:
    found = check(tmp_path, ECHO, [{"word": ""}, *ROWS])
    assert found["bad_rows"] == [f"{tmp_path}/rows.jsonl:1: word is empty"]
    assert [problem["cure"] for problem in found["problems"]] == ["fix the row, or set data.on_bad_row: skip"]
    assert len(found["rows"]) == 2
    skipped = check(tmp_path, ECHO, [{"word": ""}, *ROWS], on_bad_row="skip")
    assert (len(skipped["bad_rows"]), skipped["problems"]) == (1, [])
    with pytest.raises(UserError, match=r"no row is usable:\n.*rows.jsonl:1: word is empty"):
        check(tmp_path, ECHO, [{"word": ""}], on_bad_row="skip")


def test_the_number_of_rows(tmp_path: Path) -> None:
    rows = [{"word": str(n)} for n in range(9)]
    assert len(check(tmp_path, ECHO, rows, count=4)["rows"]) == 4
    assert len(check(tmp_path, ECHO, [{"word": ""}] * 9 + rows, count=4)["problems"]) == 4


def test_what_was_not_tried_is_said(tmp_path: Path) -> None:
    bare = ECHO.partition("        def reference_answer")[0]
    notes = check(tmp_path, bare, ROWS)["notes"]
    assert [note.split(" answer")[0] for note in notes] == ["no reference", "no corrupted"]


def test_control_tokens_in_rows_are_told(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "tokenizer.json").write_text('{"added_tokens": [{"content": "<|im_end|>", "special": true}]}')
    decoder = {"1": {"content": "<s>", "special": True}, "2": {"content": "<think>", "special": False}}
    (model / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": decoder}))
    rows = [{"word": word} for word in ("a", "b<|im_end|>", "c<think>", "d<|im_end|>")]
    found = check(tmp_path, ECHO, rows, model=str(model))
    assert found["problems"] == []
    assert [note.partition(":")[2].partition(": in a")[0] for note in found["notes"]] == [
        "2 holds <|im_end|>, a control token of the model, and so do 1 others of these rows"
    ]


def test_a_broken_verifier_command_is_an_error(tmp_path: Path) -> None:
    task = {
        "name": "custom",
        "options": {"fields": ["nums", "target"]},
        "prompts": {"question": "{nums}"},
        "verifier": {"command": [sys.executable, "-c", "print('hello')"], "timeout_s": 10, "processes": 1},
    }
    (tmp_path / "rows.jsonl").write_text('{"nums": [1], "target": 1}\n', encoding="utf-8")
    config = parse_config(
        resolved_config(task=task, data={"source": "jsonl", "path": str(tmp_path / "rows.jsonl"), "rows": None})
    )
    with pytest.raises(UserError, match="is broken: it printed"):
        check_task(config, load_task(config.task), 5)


@pytest.mark.parametrize("answer", ["tag", "whole"])
def test_countdown_solves_its_own_problems_and_knows_wrong_answers(answer: str) -> None:
    task = Countdown({"answer": answer})
    for row in generate_problems(GeneratorOptions(numbers=[2, 3, 4]), 150, seed=4):
        query = task.normalise(row)
        reference = task.reference_answer(query)
        assert reference is not None
        assert task.judge(query, reference, "stop").kind == "passed", row
        wrong = list(task.corruptions(query))
        assert len(wrong) >= 4
        for completion, kind in wrong:
            assert task.judge(query, completion, "stop").kind == kind, (row, completion)


def test_countdown_with_a_single_number() -> None:
    task = Countdown({"answer": "whole"})
    assert task.reference_answer(task.normalise({"nums": [7], "target": 7})) == "7"


@pytest.mark.parametrize(("nums", "target"), [([1, 1], 5), ([3, 5, 5, 9], 100_000), ([1, 2, 3, 4, 5], 15)])
def test_countdown_without_a_known_solution(nums: list[int], target: int) -> None:
    task = Countdown()
    query = task.normalise({"nums": nums, "target": target})
    assert task.reference_answer(query) is None
    for completion, kind in task.corruptions(query):
        assert task.judge(query, completion, "stop").kind == kind, completion


def test_a_question_without_a_placeholder_is_noted(tmp_path: Path) -> None:
    result = check(tmp_path, ECHO.replace("Say {word}", "Say it"), ROWS)
    assert "the question of task echo holds no placeholder: every query gets the same prompt" in result["notes"]
    assert not any("placeholder" in note for note in check(tmp_path, ECHO, ROWS)["notes"])
