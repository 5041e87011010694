"""The episode with an engine that says what it is told: prompts, sampling parameters and seeds, round after round."""

from typing import Any

import pytest

from harness import resolved_config
from rrr_workers.config import Config, parse_config
from rrr_workers.engines.base import Completion, Engine, SamplingParams
from rrr_workers.episode import Decoding, Episode, next_prompt, prompt_hash, retry_on, run_episode, sample_again
from rrr_workers.hashing import derive_seed
from rrr_workers.tasks.base import Query
from rrr_workers.tasks.countdown.task import Countdown
from rrr_workers.tasks.loaded import LoadedTask

QUERY = Query("0123456789abcdef", {"nums": [1, 2], "target": 3})
PROMPTS = {"question": "Q {target}", "reflection": "F {target}", "retry": "R {target}"}
SAMPLING = {"temperature": 0.7, "top_p": 0.9, "max_answer_tokens": 11, "max_reflection_tokens": 22}


class Marked(Countdown):
    """Needs the special tokens of answers."""

    skip_special_tokens = False


def loaded(task: type[Countdown] = Countdown, **prompts: str) -> LoadedTask:
    made = task({"answer": "whole"}, {**PROMPTS, **prompts})
    return LoadedTask(made, made)


def config() -> Config:
    return parse_config(resolved_config(sampling=SAMPLING))


class Recorded(Engine):
    """Says the next of ``texts``, and remembers what it was asked."""

    def __init__(self, *texts: str):
        self._texts = list(texts)
        self.prompts: list[Any] = []
        self.params: list[SamplingParams] = []

    async def generate(self, messages: Any, params: SamplingParams, tools: Any = None) -> Completion:
        self.prompts.append(messages)
        self.params.append(params)
        return Completion(self._texts.pop(0), [], 1, 1, "stop")

    def info(self) -> dict[str, Any]:
        return {}

    async def close(self) -> None: ...


async def episode(engine: Recorded, task: LoadedTask | None = None, *, greedy: bool = False, **options: Any) -> Episode:
    return await run_episode(engine, Decoding(config(), task or loaded(), greedy), QUERY, "eval", **options)


def test_each_prompt_holds_all_that_was_said_before_it() -> None:
    messages = next_prompt(loaded(system="S {target}"), QUERY, ["a", "b", "c", "d", "e"])
    assert [(message["role"], message["content"]) for message in messages] == [
        ("system", "S 3"),
        ("user", "Q 3"),
        ("assistant", "a"),
        ("user", "F 3"),
        ("assistant", "b"),
        ("user", "R 3"),
        ("assistant", "c"),
        ("user", "F 3"),
        ("assistant", "d"),
        ("user", "R 3"),
        ("assistant", "e"),
        ("user", "F 3"),
    ]
    for said in range(5):
        assert next_prompt(loaded(system="S {target}"), QUERY, "abcde"[:said]) == messages[: 2 + 2 * said]
    assert next_prompt(loaded(), QUERY) == [{"role": "user", "content": "Q 3"}]


def test_what_a_model_said_is_no_template() -> None:
    assert next_prompt(loaded(), QUERY, ["{target} {"])[1]["content"] == "{target} {"


async def test_the_rounds_of_an_episode_ask_with_all_before_them() -> None:
    engine = Recorded("2", "r1", "2*1", "r2", "1+2")
    done = await episode(engine, rounds=4)
    said = ["2", "r1", "2*1", "r2"]
    assert engine.prompts == [next_prompt(loaded(), QUERY, said[:number]) for number in range(5)]
    assert done.first
    assert (done.first.completion.text, done.first.verdict.passed) == ("2", False)
    assert [(each.reflection and each.reflection.text, each.retry.completion.text) for each in done.rounds] == [
        ("r1", "2*1"),
        ("r2", "1+2"),
    ]
    assert [each.retry.verdict.passed for each in done.rounds] == [False, True]


async def test_ungated_every_round_follows_whatever_passes() -> None:
    engine = Recorded("1+2", "r1", "2", "r2", "2*1")
    done = await episode(engine, rounds=2, gated=False)
    assert done.first
    assert [done.first.verdict.passed, *(each.retry.verdict.passed for each in done.rounds)] == [True, False, False]
    said = ["1+2", "r1", "2", "r2"]
    assert engine.prompts == [next_prompt(loaded(), QUERY, said[:number]) for number in range(5)]


@pytest.mark.parametrize(
    ("reflection", "after_failure"),
    [("other", [("assistant", "2"), ("user", "F 3"), ("assistant", "other"), ("user", "R 3")]), (None, [])],
)
async def test_a_retry_on_what_is_given_has_the_seed_of_one_after_its_own_reflection(
    reflection: str | None, after_failure: list[tuple[str, str]]
) -> None:
    own, given = Recorded("2", "r", "1+2"), Recorded("1+2")
    task = loaded(bare_retry="B {target}")
    await episode(own, task)
    done = await retry_on(given, Decoding(config(), task), QUERY, "eval", "2", reflection)
    assert done.first is None
    assert [(each.reflection, each.retry.verdict.passed) for each in done.rounds] == [(None, True)]
    expected = [("user", "Q 3"), *(after_failure or [("assistant", "2"), ("user", "B 3")])]
    assert [(message["role"], message["content"]) for message in given.prompts[0]] == expected
    assert given.params[0] == own.params[2]


async def test_samples_are_drawn_until_one_passes_or_the_tokens_are_spent() -> None:
    decoding = Decoding(config(), loaded())
    for tokens, texts, drawn in ((1, ["2"], 1), (3, ["2", "2", "2"], 3), (9, ["2", "1+2"], 2), (0, ["2"], 1)):
        engine = Recorded(*texts)
        done = await sample_again(engine, decoding, QUERY, "eval-again", tokens)
        assert (len(done.rounds), len(engine.prompts)) == (drawn, drawn)
        assert engine.prompts == [next_prompt(loaded(), QUERY)] * drawn
        assert [each.retry.verdict.passed for each in done.rounds] == [text == "1+2" for text in texts]
        assert [params.seed for params in engine.params] == [
            derive_seed(0, QUERY.id, "eval-again", number) for number in range(drawn)
        ]


def test_a_hash_tells_prompts_apart() -> None:
    other = Query(QUERY.id, {"nums": [1, 2], "target": 4})
    assert prompt_hash(loaded(), QUERY) == prompt_hash(loaded(reflection="other"), QUERY)
    hashes = {prompt_hash(loaded(), QUERY), prompt_hash(loaded(), other), prompt_hash(loaded(system="S"), QUERY)}
    assert len(hashes) == 3


@pytest.mark.parametrize("greedy", [False, True])
async def test_every_completion_of_an_episode_has_the_seed_of_its_number(greedy: bool) -> None:
    engine = Recorded(*["2"] * 7)
    await episode(engine, greedy=greedy, rounds=3)
    # As in every run so far: the first three are those of a single round.
    seeds = [1201903312, 644891954, 1693596607, 1310718944, 1796274418, 641142076, 1303802117]
    assert [params.seed for params in engine.params] == seeds
    assert seeds == [derive_seed(0, QUERY.id, "eval", draw) for draw in range(7)]
    given = Recorded(*["2"] * 6)
    assert (await episode(given, greedy=greedy, failed_answer="2", rounds=3)).first is None
    assert [params.seed for params in given.params] == seeds[1:]
    assert given.prompts == engine.prompts[1:]


async def test_answers_and_reflections_are_sampled_as_the_config_says() -> None:
    for greedy, temperature, top_p in ((False, 0.7, 0.9), (True, 0.0, 1.0)):
        engine = Recorded("2", "r", "2")
        await episode(engine, greedy=greedy)
        asked = [(p.temperature, p.top_p, p.max_tokens, p.logprobs) for p in engine.params]
        answer, reflection = (temperature, top_p, 11, False), (temperature, top_p, 22, False)
        assert asked == [answer, reflection, answer]


def test_reflections_to_learn_from_are_sampled_from_the_whole_vocabulary() -> None:
    params = Decoding(config(), loaded(Marked)).reflection(5, to_learn=True)
    assert params == SamplingParams(0.7, 1.0, 22, 5, skip_special_tokens=True, logprobs=True)


@pytest.mark.parametrize(("task", "skipped"), [(Countdown, True), (Marked, False)])
async def test_answers_keep_special_tokens_where_the_task_needs_them_and_reflections_never(
    task: type[Countdown], skipped: bool
) -> None:
    engine = Recorded(*["2"] * 5)
    await episode(engine, loaded(task), rounds=2)
    assert [params.skip_special_tokens for params in engine.params] == [skipped, True, skipped, True, skipped]
