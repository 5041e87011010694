"""Training in two processes, started by the command line, over gloo: the same run as in one, and its faults.

All faults, and the shuffled control: npm run --silent bench -- ranks.
"""

from pathlib import Path

import pytest

from ranked_runs import Ended, RankedRuns, difference, fault, same_end

SHARDED = {"RRR_TEST_SHARD": "1"}


@pytest.fixture(scope="module")
def runs(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> RankedRuns:
    return RankedRuns(tmp_path_factory.mktemp("ranks"), tiny_model)


@pytest.fixture(scope="module")
def two(runs: RankedRuns) -> Ended:
    return runs.train("two", {"train.processes": 2})


def test_two_processes_make_the_run_of_one(runs: RankedRuns, two: Ended) -> None:
    one = runs.train("one", {"train.processes": 1})
    sharded = runs.train("sharded", {"train.processes": 2, "train.sharding": "fsdp2"}, env=SHARDED)
    assert (one.status, two.status, sharded.status) == (0, 0, 0), (one.output, two.output, sharded.output)
    for several in (two, sharded):
        assert several.sampled() == one.sampled()
        assert difference(several, one) < 1e-6
        for mine, its in zip(several.steps, one.steps, strict=True):
            for key in ("reward", "second_try", "reward_std", "reflection_tokens", "grad_norm", "kl"):
                assert mine[key] == pytest.approx(its[key], rel=1e-4, abs=1e-6), key
    assert [len(step) for step in one.sampled()] == [16, 16, 16]
    assert all(step["grad_norm"] > 0.01 for step in one.steps)


def test_killed_and_resumed_two_processes_make_the_same_run(runs: RankedRuns, two: Ended) -> None:
    settings = {"train.processes": 2}
    broken = runs.train("broken", settings, kill_after='"checkpoint"')
    assert broken.left == []
    resumed = runs.train("broken", settings, flags=["--resume"])
    assert same_end(two, resumed) == []


@pytest.mark.parametrize(
    ("rank", "at", "how"),
    [(1, "step", "killed"), (1, "step", "stopped")],
)
def test_a_fault_of_one_process_ends_all_and_is_told(runs: RankedRuns, rank: int, at: str, how: str) -> None:
    assert fault(runs, rank, at, how) == []


def test_a_model_that_is_not_sharded_is_refused(runs: RankedRuns) -> None:
    ended = runs.train("unsharded", {"train.processes": 2, "train.sharding": "fsdp2"})
    assert ended.status == 2
    assert "accelerate does not shard this model" in ended.output
