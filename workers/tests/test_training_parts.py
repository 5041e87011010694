"""The parts of training that need no engine: failures and their order, rollouts and rewards."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from rrr_demos.tiny.tokenizer import make_tokenizer
from rrr_workers.config import parse_config
from rrr_workers.engines.base import Completion, SamplingParams
from rrr_workers.engines.chat import ChatEncoder
from rrr_workers.episode import Decoding, next_prompt
from rrr_workers.errors import UserError
from rrr_workers.tasks.base import Verdict
from rrr_workers.tasks.countdown.task import Countdown
from rrr_workers.tasks.loaded import LoadedTask
from rrr_workers.tasks.registry import load_task
from rrr_workers.training.base_card import describe_base
from rrr_workers.training.failures import Failure, load_failures, training_order
from rrr_workers.training.rollout import Rollout
from training_fixtures import TASK, training_config, write_failures


def test_every_failure_comes_once_before_any_comes_again() -> None:
    order = training_order(5, 12, seed=3)
    assert sorted(order[:5]) == sorted(order[5:10]) == list(range(5))
    assert order[:5] != order[5:10]
    assert training_order(5, 7, seed=3) == order[:7]
    assert training_order(5, 12, seed=4) != order
    assert training_order(2, 5, seed=0)[:4].count(0) == 2
    assert order == [2, 3, 0, 1, 4, 1, 0, 2, 3, 4, 3, 0]  # as in every run so far


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no "),
        ("", "holds no failures"),
        ('{"id":"a","query":{},"completion":"1"}\n{"id":"b"}\n', ":2 is no failure"),
        ("{torn", ":1 is no failure"),
        ("[1]\n", ":1 is no failure"),
        (
            chr(10) + '{"id":"a","query":{"n":"' + chr(0x2028) + '"},"completion":"1"}' + chr(10) + "{}",
            ":3 is no failure",
        ),
    ],
)
def test_a_broken_file_of_failures_is_the_users_error(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "failures.jsonl"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        load_failures(path)
    assert caught.value.cure


REFLECTION = "I was careless."


class ScriptedEngine:
    """Reflections are ``reflection``; a retry is what ``answer`` says to its prompt (decoded). Remembers what it was
    asked, and its calls."""

    def __init__(self, answer: Callable[[str], str]):
        self._answer = answer
        self._tokenizer = make_tokenizer()
        self.reflections: list[str] | None = None
        self.reflecting: list[tuple[list[int], SamplingParams]] = []
        self.retrying: list[tuple[list[int], SamplingParams]] = []
        self.calls: list[str] = []

    def wake(self, step: int) -> None:
        self.calls.append(f"wake {step}")

    def rest(self) -> None:
        self.calls.append("rest")

    def sample(self, prompts: list[list[int]], params: list[SamplingParams]) -> list[Completion]:
        assert len(prompts) == len(params)
        reflecting = bool(params) and params[0].logprobs
        self.calls.append("reflect" if reflecting else "retry")
        (self.reflecting if reflecting else self.retrying).extend(zip(prompts, params, strict=True))
        texts = (
            self.reflections or [REFLECTION] * len(prompts)
            if reflecting
            else [self._answer(self._tokenizer.decode(prompt)) for prompt in prompts]
        )
        ids = [[*self._tokenizer.encode(text), self._tokenizer.eos_token_id] for text in texts]
        return [
            Completion(text, i, len(i), len(prompt), "stop", [-0.5] * len(i))
            for i, text, prompt in zip(ids, texts, prompts, strict=True)
        ]


class Stage:
    """A rollout over a few failures, and the trainer it sees."""

    def __init__(
        self, tmp_path: Path, answer: Callable[[str], str], task: type[Countdown] = Countdown, **sections: Any
    ):
        self.config = parse_config(training_config(tmp_path, **sections))
        made = task(TASK["options"], TASK["prompts"])  # type: ignore[arg-type]
        self.loaded = LoadedTask(made, made)
        self.failures = load_failures(write_failures(tmp_path / "failures.jsonl", 3))
        self.rollout = self.rollout_of(self.failures)
        self.engine = ScriptedEngine(answer)
        self.metrics: dict[str, float] = {}
        self.trainer = SimpleNamespace(
            vllm_generation=self.engine,
            state=SimpleNamespace(global_step=5),
            accelerator=SimpleNamespace(process_index=0),
        )

    def rollout_of(self, failures: list[Failure]) -> Rollout:
        return Rollout(Decoding(self.config, self.loaded), failures, ChatEncoder(make_tokenizer(), "tiny"))

    def sample(self, prompts: list[str], reflections: list[str] | None = None) -> dict[str, list[Any]]:
        self.engine.reflections = reflections
        return self.rollout.sample(prompts, self.trainer)

    def rewards(self, prompts: list[str], reflections: list[str] | None = None) -> list[float | None]:
        """What TRL gets as rewards; :attr:`metrics` is what it is told beside them."""
        sampled = self.sample(prompts, reflections)
        return self.rollout.rewards(
            retry_reward=sampled["retry_reward"], log_metric=self.metrics.__setitem__, prompts=prompts
        )

    def seeds(self) -> list[int]:
        return [params.seed for _, params in (*self.engine.reflecting, *self.engine.retrying)]


def ids_of(messages: list[dict[str, Any]]) -> list[int]:
    return make_tokenizer().apply_chat_template(messages, add_generation_prompt=True, return_dict=False)  # type: ignore[no-any-return]


def test_reflections_carry_the_ids_that_were_sampled(tmp_path: Path) -> None:
    stage = Stage(tmp_path, lambda _: "1")
    sampled = stage.sample(["2", "2", "0"])
    failure = stage.failures[2]
    prompt = ids_of(next_prompt(stage.loaded, failure.query, [failure.answer]))
    assert sampled["prompt_ids"][:2] == [prompt, prompt]
    completion = sampled["completion_ids"][0]
    assert sampled["logprobs"][0] == [-0.5] * len(completion)
    assert stage.rollout.span_of[(*prompt, *completion)] == range(len(prompt), len(prompt) + len(completion))
    params = [params for _, params in stage.engine.reflecting]
    assert {(p.temperature, p.top_p, p.max_tokens, p.logprobs) for p in params} == {(1.0, 1.0, 16, True)}
    assert stage.rollout.sampled_tokens == sum(map(len, sampled["completion_ids"])) + 6 * 2  # "1" and the end
    again = Stage(tmp_path, lambda _: "1")
    again.sample(["2", "2", "0"])
    assert again.seeds() == stage.seeds()
    again.trainer.state.global_step = 6
    again.sample(["2", "2", "0"])
    assert not set(again.seeds()[3:6]) & set(stage.seeds())


def test_the_engine_is_awake_from_the_reflections_to_the_retries(tmp_path: Path) -> None:
    stage = Stage(tmp_path, lambda _: "1")
    stage.sample(["0", "1"])
    assert stage.engine.calls == ["wake 5", "reflect", "retry", "rest"]


def test_reflections_are_sampled_from_the_whole_vocabulary_and_retries_as_the_config_says(tmp_path: Path) -> None:
    stage = Stage(tmp_path, lambda _: "1", sampling={"temperature": 0.7, "top_p": 0.9, "max_answer_tokens": 9})
    stage.sample(["0"])
    asked = [
        (p.temperature, p.top_p, p.max_tokens, p.logprobs)
        for _, p in (*stage.engine.reflecting, *stage.engine.retrying)
    ]
    assert asked == [(0.7, 1.0, 16, True), (0.7, 0.9, 9, False), (0.7, 0.9, 9, False)]


def test_no_two_samples_of_a_run_share_a_seed(tmp_path: Path) -> None:
    seeds = []
    for process, step in ((0, 5), (1, 5), (0, 6), (1, 6)):
        stage = Stage(tmp_path, lambda _: "1")
        stage.trainer.accelerator.process_index = process
        stage.trainer.state.global_step = step
        stage.sample(["0", "0", "1"])
        seeds += stage.seeds()
    assert len(seeds) == 4 * (3 + 6)
    assert len(set(seeds)) == len(seeds)
    # As in every run so far: step 5, rows from 0, three reflections, then two retries of each.
    assert seeds[:5] == [1865619659, 952382718, 1025143119, 540390407, 1949349692]


def test_a_batch_has_the_same_seeds_whatever_the_number_of_processes(tmp_path: Path) -> None:
    def seeds(shares: list[list[str]]) -> tuple[list[int], list[int]]:
        reflecting, retrying = [], []
        for process, prompts in enumerate(shares):
            stage = Stage(tmp_path, lambda _: "1")
            stage.trainer.accelerator.process_index = process
            stage.sample(prompts)
            reflecting += [params.seed for _, params in stage.engine.reflecting]
            retrying += [params.seed for _, params in stage.engine.retrying]
        return reflecting, retrying

    whole = ["0", "0", "1", "1", "2", "2"]
    assert (
        seeds([whole])
        == seeds([whole[:3], whole[3:]])
        == seeds([[prompt, other] for prompt, other in zip(whole[::2], whole[1::2], strict=True)])
    )


class PassesOnSound(Countdown):
    """Passes the answer "sound"."""

    def judge(self, query: Any, completion: str, finish_reason: Any) -> Any:
        return Verdict(True, "passed") if completion == "sound" else Verdict(False, "missed_target")


def test_the_reward_is_the_share_of_retries_that_pass(tmp_path: Path) -> None:
    said = iter(["sound", "no", "no", "no", "sound", "sound"])
    stage = Stage(tmp_path, lambda _: next(said), PassesOnSound)
    assert stage.rewards(["0", "1", "2"], ["a", "b", "c"]) == [0.5, 0.0, 1.0]
    assert stage.metrics == {"second_try": 0.5}
    failure = stage.failures[1]
    expected = ids_of(next_prompt(stage.loaded, failure.query, [failure.answer, "b"]))
    assert [ids for ids, _ in stage.engine.retrying][2:4] == [expected, expected]
    assert {params.max_tokens for _, params in stage.engine.retrying} == {16}


def test_a_retry_that_does_not_fit_has_no_reward(tmp_path: Path) -> None:
    stage = Stage(tmp_path, lambda _: "sound", PassesOnSound)
    assert stage.rewards(["0", "1"], ["so " * 300, "short"]) == [None, 1.0]
    assert stage.metrics == {"second_try": 1.0}
    with pytest.raises(UserError, match="no retry of step 6 fits"):
        stage.rewards(["0"], ["so " * 300])


def test_a_process_none_of_whose_retries_fit_goes_on_with_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rrr_workers.training.rollout.sum_over_ranks", lambda passed, made: [passed + 3, made + 4])
    stage = Stage(tmp_path, lambda _: "sound", PassesOnSound)
    assert stage.rewards(["0"], ["so " * 300]) == [None]
    assert stage.metrics == {"second_try": 0.75}
    assert stage.rewards(["0"], ["short"]) == [1.0]
    assert stage.metrics == {"second_try": 5 / 6}


def test_shuffled_rewards_are_the_batch_s_in_another_order_of_each_step(tmp_path: Path) -> None:
    rollout = Stage(tmp_path, lambda _: "1").rollout
    rewards = torch.arange(40.0).unsqueeze(1)
    shuffled = rollout.shuffled(rewards, step=5)
    assert not shuffled.equal(rewards)
    assert shuffled.squeeze().sort().values.equal(rewards.squeeze())
    assert rollout.shuffled(rewards, step=5).equal(shuffled)  # on every process
    assert not rollout.shuffled(rewards, step=6).equal(shuffled)


def test_a_verifier_that_raises_is_no_reward(tmp_path: Path) -> None:
    class Broken(Countdown):
        def judge(self, query: Any, completion: str, finish_reason: Any) -> Any:
            raise ZeroDivisionError("a bug")

    with pytest.raises(UserError, match="judge raised ZeroDivisionError: a bug"):
        Stage(tmp_path, lambda _: "1", Broken).sample(["0"])


def test_a_failure_that_leaves_no_room_is_left_out(tmp_path: Path) -> None:
    assert Stage(tmp_path, lambda _: "").rollout.failures == 3
    assert Stage(tmp_path, lambda _: "", sampling={"max_reflection_tokens": 250}).rollout.failures == 0
    stage = Stage(tmp_path, lambda _: "")
    stage.failures[1] = replace(stage.failures[1], answer="9+" * 200)
    rollout = stage.rollout_of(stage.failures)
    assert rollout.failures == 2
    kept = stage.failures[2]
    prompt = ids_of(next_prompt(stage.loaded, kept.query, [kept.answer]))
    assert rollout.sample(["1"], stage.trainer)["prompt_ids"] == [prompt]


def test_the_scripted_task_loads_as_a_users_file(tmp_path: Path) -> None:
    assert type(load_task(parse_config(training_config(tmp_path)).task).task).__name__ == "JudgedByHash"


@pytest.mark.parametrize(
    ("card", "license", "name"),
    [
        ("---\nlicense: other\nlicense_name: qwen\n---\n# A model", "other", "qwen"),
        ("---\nlicense: [mit\n---\n", None, None),
        ("---\nlicense: [mit]\n---\n", None, None),
        ("# A model", None, None),
        (None, None, None),
    ],
)
def test_the_licence_of_the_base_is_what_its_card_declares(
    tmp_path: Path, card: str | None, license: str | None, name: str | None
) -> None:
    (tmp_path / "config.json").write_text("{}")
    if card is not None:
        (tmp_path / "README.md").write_text(card)
    found = describe_base(str(tmp_path), None)
    assert found == {"commit": None, "license": license, "license_name": name, "license_link": None}
