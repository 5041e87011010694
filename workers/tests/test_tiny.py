"""The tiny model: it opens with the tokenization it was trained with, and has seen no problem that it's judged on."""

import json
import re
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from rrr_demos.tiny import countdown_world as world
from rrr_demos.tiny import function_world, recipe_hash
from rrr_demos.tiny.function_world import Request
from rrr_workers.data.splits import assign_split
from rrr_workers.episode import next_prompt
from rrr_workers.tasks.countdown.expression import evaluate, parse
from rrr_workers.tasks.function_calling.task import FunctionCalling
from rrr_workers.tasks.function_calling.tool_calls import FORMATS
from rrr_workers.tasks.loaded import LoadedTask

TEXT = "Use 3,12,7 to make 43. Begin with 3*12.\n3*12+7 — 1024 ünseen"
EPISODE = [
    {"role": "user", "content": "Use 3,12,7 to make 43."},
    {"role": "assistant", "content": "3+12+7"},
    {"role": "user", "content": "Wrong."},
]


def make(out: Path, *options: str) -> dict:
    command = [sys.executable, "-m", "rrr_demos.tiny", "--out", str(out), *options]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "tiny"
    line = make(out, "--steps", "20")
    assert line["path"] == str(out)
    assert line["steps"] == 20
    assert line["parameters"] < 1_000_000
    assert not out.with_name("tiny.partial").exists()
    return out


def test_every_loader_tokenizes_as_in_training(model: Path) -> None:
    from transformers import AutoTokenizer
    from vllm.tokenizers import get_tokenizer

    from rrr_demos.tiny.tokenizer import make_tokenizer

    trained = make_tokenizer()
    ids = trained.backend_tokenizer.encode(TEXT, add_special_tokens=False).ids
    chat = trained.apply_chat_template(EPISODE, add_generation_prompt=True, return_dict=False)
    for loaded in (AutoTokenizer.from_pretrained(model), get_tokenizer(str(model))):
        assert loaded(TEXT).input_ids == ids
        assert loaded.decode(ids) == TEXT
        assert loaded.apply_chat_template(EPISODE, add_generation_prompt=True, return_dict=False) == chat
        assert loaded.eos_token == "<|end|>"
    # Numbers are single tokens; digits of a number outside the world are bytes.
    assert trained.tokenize("3*12+43") == ["3", "*", "12", "+", "43"]
    assert trained.tokenize("1024") == ["1", "0", "2", "4"]


def test_training_ids_are_those_of_the_chat_template() -> None:
    from rrr_demos.tiny.pretrain import IGNORED, encode
    from rrr_demos.tiny.tokenizer import make_tokenizer

    tokenizer = make_tokenizer()
    turns = world.lesson(Random(0), list(world.problems("unused")))
    [(ids, labels)] = encode(tokenizer.backend_tokenizer, [turns])
    messages = [{"role": turn.role, "content": turn.content} for turn in turns]
    assert ids == tokenizer.apply_chat_template(messages, return_dict=False)
    trained = [turn.content for turn in turns if turn.trainable]
    kept = [token for token, label in zip(ids, labels, strict=True) if label != IGNORED]
    assert tokenizer.decode(kept) == "".join(f"{content}<|end|>" for content in trained)
    assert turns[1].content not in trained  # the failed answer of a lesson is not imitated


def test_the_model_opens_with_its_weights(model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(model)
    assert loaded.dtype == torch.float32
    assert loaded.config.model_type == "llama"
    assert all(torch.isfinite(weights).all() for weights in loaded.parameters())


def test_training_never_sees_the_numbers_of_other_splits() -> None:
    keys = {name: {tuple(sorted(p.numbers)) for p in world.problems(name)} for name in ("test", "train", "unused")}
    assert all(len(found) > 50 for found in keys.values())
    assert not keys["unused"] & (keys["test"] | keys["train"])
    assert not keys["test"] & keys["train"]
    for name, found in keys.items():
        assert all(assign_split(list(numbers), 0.2, 0.3) == name for numbers in found)

    random, pool = Random(0), list(world.problems("unused"))
    for write in (world.drill, world.lesson, world.obedience, world.episode):
        for _ in range(300):
            for turn in write(random, pool):
                for listed in re.findall(r"\d+,\d+,\d+", turn.content):
                    assert assign_split(sorted(map(int, listed.split(","))), 0.2, 0.3) == "unused"


def test_sound_plans_and_answers_are_sound() -> None:
    random, pool = Random(1), list(world.problems("unused"))
    for _ in range(200):
        problem = random.choice(pool)
        sound = world.solutions(problem)
        assert sound
        for expression in sound:
            value = evaluate(parse(expression.text))
            assert value is not None
            assert Fraction(*value) == problem.target
        turns = world.lesson(random, [problem])
        assert turns[-1].content in {s.text for s in sound}
        assert turns[3].content in {world.plan(problem, s.first) for s in sound}
        assert turns[1].content not in {s.text for s in sound}


def test_the_teacher_of_functions_writes_what_the_task_shows_and_judges() -> None:
    from rrr_demos.tiny.tokenizer import make_tokenizer

    tokenizer = make_tokenizer()
    task = FunctionCalling(
        {"generator": function_world.OPTIONS.model_dump()},
        {"question": function_world.QUESTION, "reflection": function_world.REFLECTION, "retry": function_world.RETRY},
    )
    task.use_tokenizer(tokenizer)
    assert task.format_name == "hermes"
    assert task.skip_special_tokens
    pool = function_world.requests(0)
    random = Random(2)
    verdicts: Counter[tuple[str, str]] = Counter()
    for row in islice(task.generate(200, 5), 100):
        query = task.normalise(row)
        asked = Request(row["query"], tuple(tool["name"] for tool in row["tools"]), *row["answers"])
        turns = function_world.lesson(random, [asked])
        said = [turn.content for turn in turns]
        messages = next_prompt(LoadedTask(task, task), query, (said[2], said[4]))
        shown = tokenizer.apply_chat_template(messages, tools=task.tools(query), tokenize=False)
        assert shown == "".join(f"<|{turn.role}|>{turn.content}<|end|>" for turn in turns[:-1])
        assert task.judge(query, said[6], "stop").passed
        assert not task.judge(query, said[2], "stop").passed
        assert FORMATS["hermes"].parse(said[6])[0].name == said[4].removeprefix("Begin with ").removesuffix(".")
        # Nothing that is said falls to bytes: numbers, words and punctuation between words are tokens.
        assert all(len(token) > 1 or not token.isalpha() or token in "IĊĠ" for token in tokenizer.tokenize(shown))
        for _ in range(10):
            episode = function_world.episode(random, [asked])
            verdicts["first", task.judge(query, episode[2].content, "stop").kind] += 1
            if len(episode) == 7:
                start = episode[4].content.split()[0]
                verdicts[start, task.judge(query, episode[6].content, "stop").kind] += 1
    assert 0.2 < verdicts["first", "passed"] / 1000 < 0.4
    assert verdicts["first", "wrong_number_of_calls"] > 200
    assert verdicts["Begin", "passed"] > 2 * verdicts["I", "passed"] > 0
    assert len(pool) > 2000


def test_functions_of_other_splits_are_never_seen() -> None:
    texts = {
        split: {asked.query for asked in function_world.requests(0, split)} for split in ("test", "train", "unused")
    }
    assert not texts["unused"] & (texts["test"] | texts["train"])
    assert len(texts["test"]) + len(texts["train"]) + len(texts["unused"]) == function_world.REQUESTS


def test_hash_depends_on_seed_and_steps() -> None:
    hashes = {recipe_hash(), recipe_hash(seed=1), recipe_hash(steps=30)}
    assert len(hashes) == 3
    assert recipe_hash() == recipe_hash()
