"""General benchmarks: rows, prompts and scores through lm-eval with a scripted model, and one real worker."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.model import TemplateLM

import real_data
from harness import WorkerProcess, resolved_config
from rrr_workers.benchmarks.rows import Row, read_rows
from rrr_workers.benchmarks.run import answer_items
from rrr_workers.benchmarks.utils import math_answer, math_results
from rrr_workers.config import Config, parse_config
from rrr_workers.errors import UserError
from rrr_workers.text import numbered_lines

GSM8K = [
    {"question": "Ann has 3 pens and buys 4. How many has she?", "answer": "3+4=<<3+4=7>>7\n#### 7"},
    {"question": "A box holds 1,000 nails. How many do two hold?", "answer": "2*1000=2000\n#### 2,000"},
]
MATH = [
    {"question": "What is $1/4$?", "solution": "It is $\\boxed{\\frac{1}{4}}$.", "answer": "\\frac{1}{4}"},
    {"problem": "Name the pair.", "answer": "\\left( 3, \\frac{\\pi}{2} \\right)"},
]
HELLASWAG = [
    {"query": "Baking: A man opens the oven. he", "label": 1, "endings": ["flies off.", "takes out bread."]},
    {
        "activity_label": "Rowing",
        "ctx_a": "A boat is [substeps] on a lake.",
        "ctx_b": "the woman",
        "label": "0",
        "endings": ["rows.", "a long, long ending that nobody would expect here."],
    },
]
MMLU_PRO = [
    {"question": "2+2?", "options": ["3", "4", "5"], "answer": "B", "category": "math"},
    {"question": "Water is", "options": ["wet", "dry"], "answer": "A", "category": "physics"},
]
ROWS = {"gsm8k": GSM8K, "math": MATH, "hellaswag": HELLASWAG, "mmlu_pro": MMLU_PRO}


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def config_with(**benchmarks: Any) -> Config:
    return parse_config(resolved_config(benchmarks=benchmarks))


class ScriptedModel(TemplateLM):  # type: ignore[misc]  # lm-eval is untyped
    """What a HarnessModel is to a benchmark: ``reply`` writes, and of several endings the first fits best."""

    tokenizer_name = "scripted"

    def __init__(self, reply: Callable[[str], str], refused: Sequence[str] = ()):
        super().__init__()
        self._reply = reply
        self._refused = refused
        self.refused: set[str] = set()
        self.cut: set[str] = set()
        self.asked: list[tuple[str, Any]] = []

    eot_token_id = 0

    def tok_encode(self, string: str, **_: Any) -> list[int]:
        return list(string.encode())

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        return "".join(f"<{turn['role']}>{turn['content']}" for turn in chat_history) + "<assistant>"

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        self.asked += [request.args for request in requests]
        self.refused.update(self._refused)
        return [self._reply(request.args[0]) for request in requests]

    def _loglikelihood_tokens(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        self.asked += [each[0] for each in requests]
        return [(-1.0, False) for _ in requests]

    def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = False) -> list[float]:
        raise NotImplementedError


def read(task: str, tmp_path: Path, most: int | None = None) -> list[Row]:
    return read_rows(task, write(tmp_path / f"{task}.jsonl", ROWS[task]), most)


# Rows


@pytest.mark.parametrize(
    ("task", "file", "rows"),
    [
        ("gsm8k", "gsm8k-test.jsonl", 1319),
        ("math", "math500.jsonl", 500),
        ("hellaswag", "hellaswag-500.jsonl", 500),
        ("mmlu_pro", "mmlu-pro-500.jsonl", 500),
    ],
)
def test_real_files_are_read_whole(task: str, file: str, rows: int) -> None:
    assert len(real_data.rows(f"benchmarks/{file}")) == rows  # skips where it isn't there
    found = read_rows(task, str(real_data.FOLDER / "benchmarks" / file), None)
    assert len({row["id"] for row in found}) == rows


def test_a_part_is_the_same_every_time_and_part_of_a_larger_one(tmp_path: Path) -> None:
    rows = [{"question": f"What is {n}+1?", "answer": f"#### {n + 1}"} for n in range(40)]
    forwards = write(tmp_path / "a.jsonl", rows)
    backwards = write(tmp_path / "b.jsonl", rows[::-1])
    ids = [row["id"] for row in read_rows("gsm8k", forwards, 10)]
    assert len(ids) == 10
    assert sorted(ids) == sorted(row["id"] for row in read_rows("gsm8k", backwards, 10))
    assert set(ids) < {row["id"] for row in read_rows("gsm8k", forwards, 20)}
    assert len(read_rows("gsm8k", forwards, 99)) == 40


def test_equal_rows_are_different_items(tmp_path: Path) -> None:
    rows = read_rows("gsm8k", write(tmp_path / "a.jsonl", GSM8K[:1] * 3), None)
    assert len({row["id"] for row in rows}) == 3


@pytest.mark.parametrize(
    ("task", "row", "message"),
    [
        ("gsm8k", {"question": "Q", "answer": "7"}, "must end with ####"),
        ("gsm8k", {"answer": "#### 7"}, "column question is missing; the row has answer"),
        ("math", {"question": "Q", "answer": 7}, "column answer must be text, and is 7"),
        ("hellaswag", {"query": "Q", "endings": ["a", "b"], "label": 2}, "label must be a whole number below 2"),
        ("hellaswag", {"query": "Q", "endings": "ab", "label": 0}, "endings must be a list of texts"),
        ("mmlu_pro", {**MMLU_PRO[1], "answer": "C"}, "letter of one of 2 options, and is 'C'"),
        ("mmlu_pro", {**MMLU_PRO[1], "answer": "AB"}, "letter of one of 2 options, and is 'AB'"),
    ],
)
def test_a_bad_row_is_named(task: str, row: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", [ROWS[task][0], row])
    with pytest.raises(UserError, match=message) as raised:
        read_rows(task, path, None)
    assert str(raised.value).startswith(f"{path}:2: ")


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no row"):
        read_rows("math", write(tmp_path / "empty.jsonl", []), None)


# Scores


@pytest.mark.parametrize(
    ("task", "right", "wrong"),
    [
        ("gsm8k", ["3+4=7\n#### 7", "two hold $2,000."], ["7 or 8", "I don't know"]),
        (
            "math",
            [
                "So \\boxed{\\tfrac14}.",
                "Final Answer: The final answer is $(3,\\frac{\\pi}{2})$. I hope it is correct.",
            ],
            ["\\boxed{4}", "\\frac{1}{4}"],
        ),
        ("mmlu_pro", ["So the answer is (B).", "the answer is A"], ["the answer is (C)", "B"]),
    ],
)
def test_scores_of_what_is_written(task: str, right: list[str], wrong: list[str], tmp_path: Path) -> None:
    rows = read(task, tmp_path)
    for replies, score in ((right, 1), (wrong, 0)):
        left = iter(replies)
        items = answer_items(ScriptedModel(lambda _, left=left: next(left)), task, rows, config_with(), 50)
        assert [item["score"] for item in items] == [score, score]
        assert [item["completion"] for item in items] == replies
        assert [item["id"] for item in items] == [row["id"] for row in rows]


def test_the_answers_of_real_files_are_right() -> None:
    for row in real_data.rows("benchmarks/math500.jsonl"):
        for reply in (
            f"\\boxed{{{row['answer']}}}",
            f"Final Answer: The final answer is ${row['answer']}$. I hope it is correct.",
        ):
            assert math_results(row, [reply]) == {"exact_match": 1}, reply
    real_data.rows("benchmarks/gsm8k-test.jsonl")
    rows = read_rows("gsm8k", str(real_data.FOLDER / "benchmarks" / "gsm8k-test.jsonl"), None)
    answers = iter([row["answer"] for row in rows])
    items = answer_items(ScriptedModel(lambda _: next(answers)), "gsm8k", rows, config_with(), 50)
    assert [item["score"] for item in items] == [1] * 1319


def test_an_ending_is_scored_by_its_length_and_asked_without_a_chat(tmp_path: Path) -> None:
    model = ScriptedModel(str)
    items = answer_items(model, "hellaswag", read(task := "hellaswag", tmp_path), config_with(), 50)
    # At equal log-probability the longest ending is the best one.
    assert [item["score"] for item in items] == [1, 0]
    assert items[0]["completion"] is None
    assert items[0]["task"] == task
    assert model.asked[2][0] == "Rowing: A boat is on a lake. The woman"
    assert model.asked[0] == ("Baking: A man opens the oven. he", " flies off.")


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        ("\\boxed{1} then \\boxed{\\frac{1}{2}} done", "\\frac{1}{2}"),
        ("The final answer is $x^2$. I hope it is correct.", "x^2"),
        ("the final answer is 12.\nProblem: another", "12"),
        ("\\boxed{never closed", None),
        ("nothing", None),
        ("", None),
    ],
)
def test_where_a_math_answer_is(completion: str, answer: str | None) -> None:
    assert math_answer(completion) == answer


def test_a_math_answer_is_text_whatever_it_says(tmp_path: Path) -> None:
    trap = tmp_path / "made"
    for text in (f"open({str(trap)!r}, 'w')", "9^{9^{9^{9}}}", "(10^{20})!", "{" * 5000, "\\frac{", "\\sqrt"):
        assert math_results({"answer": "1"}, [f"\\boxed{{{text}}}"]) == {"exact_match": 0}
    assert not trap.exists()


# Prompts


@pytest.mark.parametrize(("task", "default", "opening"), [("gsm8k", 5, "Question:"), ("math", 4, "Problem:")])
def test_shots_stand_before_the_question(task: str, default: int, opening: str, tmp_path: Path) -> None:
    def prompt(**benchmarks: Any) -> str:
        model = ScriptedModel(lambda _: "")
        answer_items(model, task, read(task, tmp_path), config_with(**benchmarks), 50)
        text, options = model.asked[0]
        assert options["max_gen_toks"] == 50
        return str(text)

    assert prompt(chat_template=False).count(opening) == default + 1
    chat = prompt()
    assert chat.count("<user>") == default + 1
    assert chat.count("<assistant>") == default + 1
    none = prompt(shots={"gsm8k": 0, "math": 0})
    assert none == f"<user>{opening}{none.partition(opening)[2]}"
    assert none.count(opening) == 1


def test_shots_are_right_by_their_own_score(tmp_path: Path) -> None:
    from lm_eval.tasks import TaskManager

    from rrr_workers.benchmarks import run

    manager = TaskManager(include_path=run.HERE, include_defaults=False, metadata={"rows": GSM8K})
    for name, file in (("gsm8k", "a.jsonl"), ("math", "b.jsonl")):
        shots = manager.load([f"rrr_{name}"])["tasks"][f"rrr_{name}"].config.fewshot_config.samples
        rows = shots if name == "gsm8k" else [{**shot, "answer": math_answer(shot["answer"])} for shot in shots]
        replies = iter([shot["answer"] for shot in shots])
        read_back = read_rows(name, write(tmp_path / file, rows), None)
        items = answer_items(ScriptedModel(lambda _, left=replies: next(left)), name, read_back, config_with(), 50)
        assert [item["score"] for item in items] == [1] * len(shots)


def test_a_refused_item_scores_nothing(tmp_path: Path) -> None:
    rows = read("gsm8k", tmp_path)
    model = ScriptedModel(lambda _: "7", refused=[rows[0]["id"]])
    first, second = answer_items(model, "gsm8k", rows, config_with(), 50)
    assert (first["score"], first["too_long"], first["completion"]) == (0, True, None)
    assert (second["too_long"], second["completion"]) == (False, "7")


# A worker

LONG = "word " * 400


def ask(worker: WorkerProcess, number: int, task: str, output: Path) -> dict[str, Any]:
    params = {"task": task, "model": "base", "output": str(output), "max_gen_toks": 8}
    worker.call(number, "benchmark", params)
    value: dict[str, Any] = worker.read_until("result", 300)["value"]
    return value


def test_a_real_model_answers_from_files_alone(tiny_model: Path, tmp_path: Path) -> None:
    rows = {
        "gsm8k": [*GSM8K, {"question": LONG, "answer": "#### 1"}],
        "hellaswag": [*HELLASWAG, {"query": LONG, "label": 0, "endings": ["a b.", "c d."]}],
    }
    files = {task: write(tmp_path / f"{task}.jsonl", each) for task, each in rows.items()}
    config = resolved_config(
        model={"name": str(tiny_model), "dtype": "float32", "max_model_len": 512},
        benchmarks={"source": "files", "path": str(tmp_path), "shots": {"gsm8k": 0, "math": 0}},
    )
    cache = tmp_path / "cache"
    env = {"HF_HOME": str(cache), "HF_ENDPOINT": "http://127.0.0.1:9"}
    with WorkerProcess("rrr_workers.roles.benchmark", tmp_path / "log", env=env) as worker:
        worker.start(config, {"model": str(tiny_model), "tasks": list(files), "files": files, "date": "2026-01-02"})
        worker.read_until("ready", 300)
        made = {task: ask(worker, number, task, tmp_path / "made" / task) for number, task in enumerate(files)}
        worker.send({"type": "stop"})
        worker.wait_until_gone(10)
    for task, counts in made.items():
        items = [json.loads(line) for _, line in numbered_lines(tmp_path / "made" / task)]
        assert [item["too_long"] for item in items] == [False, False, True]
        assert (counts["items"], counts["too_long"]) == (3, 1)
        assert all(item["score"] in (0, 1) and item["model"] == "base" for item in items)
    written = [json.loads(line) for _, line in numbered_lines(tmp_path / "made" / "gsm8k")]
    assert written[0]["completion"]
    assert written[2] == {**written[2], "score": 0, "completion": None}
    assert not (cache / "datasets").exists()


@pytest.mark.parametrize(
    ("row", "weights", "message"),
    [({"question": "Q"}, True, "column answer is missing"), (MATH[0], False, "has no weights")],
)
def test_what_is_wrong_is_told_before_a_model_is_loaded(
    row: dict[str, Any], weights: bool, message: str, tiny_model: Path, tmp_path: Path
) -> None:
    model = shutil.copytree(tiny_model, tmp_path / "model")
    if not weights:
        (model / "model.safetensors").unlink()
    files = {"math": write(tmp_path / "math.jsonl", [row])}
    sections = {"model": {"name": str(model)}, "benchmarks": {"source": "files", "path": str(tmp_path)}}
    with WorkerProcess("rrr_workers.roles.benchmark", tmp_path / "log") as worker:
        options = {"model": str(model), "tasks": ["math"], "files": files, "date": "2026-01-02"}
        worker.start(resolved_config(**sections), options)
        assert worker.read_until("hello")
        fatal = worker.read(60)
    assert fatal is not None
    assert fatal["type"] == "fatal"
    assert fatal["error"]["type"] == "user"
    assert message in fatal["error"]["message"]
