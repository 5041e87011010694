"""The tiny model: it opens with the tokenization it was trained with, and has seen no problem that it's judged on."""

import json
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from random import Random

import pytest

from rrr_workers.splits import assign_split
from rrr_workers.tasks.expression import evaluate, parse
from rrr_workers.tiny import recipe_hash, world

TEXT = "Use 3,12,7 to make 43. Begin with 3*12.\n3*12+7 — 1024 ünseen"
EPISODE = [
    {"role": "user", "content": "Use 3,12,7 to make 43."},
    {"role": "assistant", "content": "3+12+7"},
    {"role": "user", "content": "Wrong."},
]


def make(out: Path, *options: str) -> dict:
    command = [sys.executable, "-m", "rrr_workers.tiny", "--out", str(out), *options]
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

    from rrr_workers.tiny.tokenizer import make_tokenizer

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
    from rrr_workers.tiny.pretrain import IGNORED, encode
    from rrr_workers.tiny.tokenizer import make_tokenizer

    tokenizer = make_tokenizer()
    turns = world.lesson(Random(0), list(world.problems("unused")))
    [(ids, labels)] = encode(tokenizer.backend_tokenizer, [turns])
    messages = [{"role": turn.role, "content": turn.content} for turn in turns]
    assert ids == tokenizer.apply_chat_template(messages, return_dict=False)
    learnt = [turn.content for turn in turns if turn.learnt]
    kept = [token for token, label in zip(ids, labels, strict=True) if label != IGNORED]
    assert tokenizer.decode(kept) == "".join(f"{content}<|end|>" for content in learnt)
    assert turns[1].content not in learnt  # the failed answer of a lesson is not imitated


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


def test_hash_depends_on_seed_and_steps() -> None:
    hashes = {recipe_hash(), recipe_hash(seed=1), recipe_hash(steps=30)}
    assert len(hashes) == 3
    assert recipe_hash() == recipe_hash()
