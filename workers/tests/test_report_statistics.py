"""The statistics of the report, which are TypeScript, against scipy and statsmodels, on random tables."""

import gc
import json
import math
import subprocess
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from scipy.optimize import brentq
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from harness import TESTS

TABLES = 1000
Results = Callable[[str, list[list[Any]]], list[Any]]
Query = tuple[np.ndarray, np.ndarray]  # the tries of a query before and after, 1 where they passed

_SERVER = """
import { createInterface } from 'node:readline';
const modules = ['statistics', 'statistics/clustered', 'statistics/sign-flip', 'statistics/distributions'];
modules.push('statistics/mcnemar-power');
const all = Object.assign({}, ...await Promise.all(modules.map((name) => import(`./dist/report/${name}.js`))));
for await (const line of createInterface({ input: process.stdin })) {
  const [name, calls] = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(calls.map((parameters) => all[name](...parameters)))}\\n`);
}
"""


@pytest.fixture(scope="module")
def ours() -> Iterator[Results]:
    """Results of an exported function of the built command line, for several lists of parameters."""
    command = ["node", "--input-type=module", "-e", _SERVER]
    with subprocess.Popen(
        command, cwd=TESTS.parents[1], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as node:
        assert node.stdin
        assert node.stdout

        def results(name: str, calls: list[list[Any]]) -> list[Any]:
            node.stdin.write(json.dumps([name, calls]) + "\n")
            node.stdin.flush()
            answer = node.stdout.readline()
            assert answer, f"{name} failed: is dist built (npm run build)?"
            return list(json.loads(answer))

        yield results
        node.stdin.close()


@pytest.fixture
def chance() -> np.random.Generator:
    return np.random.default_rng(20261125)


def some_queries(
    chance: np.random.Generator, count: int, tries: Callable[[], Sequence[int]], gain: float = 0.1
) -> list[Query]:
    """Queries from impossible to sure, which gain at random."""
    queries = []
    for rate in chance.beta(0.5, 1, count):
        m_before, m_after = tries()
        better = min(1.0, max(0.0, rate + chance.normal(gain, 0.2)))
        queries.append((chance.binomial(1, rate, m_before), chance.binomial(1, better, m_after)))
    return queries


def compared(ours: Results, samples: list[list[Query]]) -> Iterator[tuple[list[Query], Any]]:
    """Each sample with its comparison."""
    calls = [[[{"before": b.tolist(), "after": a.tolist()} for b, a in queries]] for queries in samples]
    return zip(samples, ours("compareClustered", calls), strict=True)


def differences(queries: list[Query]) -> np.ndarray:
    return np.array([after.mean() - before.mean() for before, after in queries])


def clustered_error(values: np.ndarray, groups: np.ndarray) -> float:
    fit = sm.OLS(values, np.ones(len(values))).fit(cov_type="cluster", cov_kwds={"groups": groups})
    return float(fit.bse[0])


def test_mcnemar_and_wilson(ours: Results, chance: np.random.Generator) -> None:
    tables = [chance.integers(0, chance.choice([3, 30, 300, 3000]), 4).tolist() for _ in range(TABLES)]
    p_values = ours("mcnemarExact", [[lost, won] for _, lost, won, _ in tables])
    intervals = ours("wilsonInterval", [[table[0], sum(table)] for table in tables])
    for (both, lost, won, neither), p_value, interval in zip(tables, p_values, intervals, strict=True):
        assert p_value == pytest.approx(mcnemar([[both, lost], [won, neither]], exact=True).pvalue, rel=1e-9)
        if n := both + lost + won + neither:
            expected = stats.binomtest(both, n).proportion_ci(method="wilson")
            assert interval == pytest.approx([expected.low, expected.high], abs=1e-12)


def test_holm(ours: Results, chance: np.random.Generator) -> None:
    some = [0, 1e-9, 0.01, 0.02, 0.05, 0.5, 1]
    gc.freeze()  # multipletests collects garbage every time
    families = [chance.choice([*some, *chance.random(4)], chance.integers(1, 12)).tolist() for _ in range(TABLES)]
    for p_values, adjusted in zip(families, ours("holm", [[family] for family in families]), strict=True):
        assert adjusted == pytest.approx(multipletests(p_values, method="holm")[1], abs=1e-15)
    gc.unfreeze()


def test_pass_at_k(ours: Results, chance: np.random.Generator) -> None:
    calls = []
    for _ in range(TABLES):
        n = int(chance.integers(1, chance.choice([5, 70, 2000])))
        calls.append([n, int(chance.integers(0, n + 1)), int(chance.integers(1, n + 1))])
    for (n, c, k), estimate in zip(calls, ours("passAtK", calls), strict=True):
        expected = 1 - Fraction(math.comb(n - c, k), math.comb(n, k))
        assert estimate == pytest.approx(float(expected), rel=1e-12)


def test_distributions(ours: Results, chance: np.random.Generator) -> None:
    degrees = np.array([*range(1, 200), 999, 1000, 14_999])
    for confidence in (0.5, 0.95, 0.999):
        quantiles = ours("studentQuantile", [[each, confidence] for each in degrees.tolist()])
        assert quantiles == pytest.approx(stats.t.ppf((1 + confidence) / 2, degrees), rel=1e-8)
    z = np.linspace(-8, 37, 200)
    assert ours("normalTail", [[each] for each in z]) == pytest.approx(stats.norm.sf(z), rel=1e-11)
    tails = [1e-9, 0.025, 0.2, 0.5, 0.9]
    assert ours("normalQuantile", [[tail] for tail in tails]) == pytest.approx(stats.norm.isf(tails), abs=1e-9)
    calls = [[int(chance.integers(0, 2000)), chance.choice([0, 1, 0.5, chance.random()])] for _ in range(200)]
    for (n, p), counts in zip(calls, ours("binomial", calls), strict=True):
        shares = list(counts["shares"].values())
        expected = stats.binom.pmf(np.arange(n + 1), n, p)[counts["first"] : counts["first"] + len(shares)]
        assert sum(expected) == pytest.approx(1, abs=1e-12)
        assert shares == pytest.approx(expected, abs=1e-12)


def rate_interval(means: np.ndarray, error: float, tries: int, z: float) -> tuple[float, float]:
    """Wilson's, of the effective number of tries."""
    rate, n = means.mean(), len(means)
    effective = float(n)
    if np.ptp(means) > 0:
        smaller = (stats.norm.ppf(0.975) / stats.t.ppf(0.975, n - 1)) ** 2
        effective = float(np.clip(rate * (1 - rate) / error**2 * smaller, n, tries))
    return proportion_confint(rate * effective, effective, alpha=2 * stats.norm.sf(z), method="wilson")


def change_interval(queries: list[Query], z: float) -> tuple[float, float]:
    """Newcombe's method 10, with the shares that the queries passed in place of outcomes."""
    n = len(queries)
    sides = []
    for side in (0, 1):
        means = np.array([query[side].mean() for query in queries])
        tries = sum(len(query[side]) for query in queries)
        sides.append((means, *rate_interval(means, float(stats.sem(means)), tries, z)))
    (before, b_low, b_high), (after, a_low, a_high) = sides
    covariance = np.mean((before - before.mean()) * (after - after.mean()))
    if covariance > 0:
        covariance = max(0, covariance - 1 / (2 * n))
    spread = before.std() * after.std()
    phi = covariance / spread if spread > 1e-12 else 0
    b, a = before.mean(), after.mean()
    down = np.sqrt((a - a_low) ** 2 - 2 * phi * (a - a_low) * (b_high - b) + (b_high - b) ** 2)
    up = np.sqrt((a_high - a) ** 2 - 2 * phi * (a_high - a) * (b - b_low) + (b - b_low) ** 2)
    return a - b - down, a - b + up


def test_a_rate_with_clusters(ours: Results, chance: np.random.Generator) -> None:
    samples = []
    for _ in range(TABLES):
        count, tries = chance.integers(2, 40), chance.integers(1, 9)
        rates = chance.beta(*chance.choice([0.2, 1, 3], 2), (count, 1))
        samples.append(chance.binomial(1, rates, (count, tries)))
    rates = ours("clusteredRate", [[outcomes.tolist()] for outcomes in samples])
    for outcomes, rate in zip(samples, rates, strict=True):
        count, tries = outcomes.shape
        means = outcomes.mean(axis=1)
        error = clustered_error(outcomes.ravel(), np.repeat(np.arange(count), tries)) if np.ptp(means) > 0 else 0
        assert rate["rate"] == pytest.approx(outcomes.mean(), abs=1e-12)
        expected = rate_interval(means, error, outcomes.size, stats.norm.ppf(0.975))
        assert rate["interval"] == pytest.approx(expected, abs=1e-9)
        if tries == 1:
            wilson = proportion_confint(outcomes.sum(), count, method="wilson")
            assert rate["interval"] == pytest.approx(wilson, abs=1e-12)


def test_the_error_of_a_change_is_that_of_a_regression_clustered_by_query(
    ours: Results, chance: np.random.Generator
) -> None:
    samples = [
        some_queries(chance, int(chance.integers(2, 40)), lambda m=m: (m, m))  # type: ignore[misc]
        for m in chance.integers(1, 9, 300)
    ]
    for queries, result in compared(ours, samples):
        changes = np.array([after - before for before, after in queries])
        groups = np.repeat(np.arange(len(queries)), changes.shape[1])
        expected = clustered_error(changes.ravel(), groups) if np.ptp(changes) > 0 else 0
        assert result["difference"] == pytest.approx(changes.mean(), abs=1e-12)
        assert result["standard_error"] == pytest.approx(expected, abs=1e-9)


def test_the_interval_of_a_change(ours: Results, chance: np.random.Generator) -> None:
    samples = [
        some_queries(chance, count, lambda: chance.integers(1, 9, 2)) for count in chance.integers(2, 40, TABLES // 2)
    ]
    for queries, result in compared(ours, samples):
        assert result["difference"] == pytest.approx(differences(queries).mean(), abs=1e-12)
        assert result["interval"] == pytest.approx(change_interval(queries, stats.norm.ppf(0.975)), abs=1e-9)


def test_the_interval_of_many_queries_is_the_t_interval_of_their_changes(
    ours: Results, chance: np.random.Generator
) -> None:
    samples = [some_queries(chance, 1000, lambda: (4, 8)) for _ in range(10)]
    for queries, result in compared(ours, samples):
        expected = stats.ttest_1samp(differences(queries), 0).confidence_interval()
        length = expected.high - expected.low
        assert result["interval"] == pytest.approx([expected.low, expected.high], abs=0.03 * length)


def listed(changes: np.ndarray) -> float:
    """Scipy's test of all signs."""
    test = stats.permutation_test(
        (changes,),
        lambda changes, axis: changes.sum(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    )
    return float(test.pvalue)


def test_the_p_value_of_few_queries_counts_all_signs(ours: Results, chance: np.random.Generator) -> None:
    samples = [
        some_queries(chance, int(chance.integers(2, 11)), lambda m=m: (m, m), 0.3)  # type: ignore[misc]
        for m in chance.integers(1, 9, 300)
    ]
    for queries, result in compared(ours, samples):
        # In tries: of 2/3 - 1/3 and 1/3 scipy would make two sizes.
        changes = differences(queries) * len(queries[0][0])
        assert result["p_value"] == pytest.approx(listed(changes.round()), rel=1e-9)
        assert result["exact"]
    sizes = [chance.normal(0.3, 1, count) for count in chance.integers(2, 11, 300)]
    for changes, result in zip(sizes, ours("signFlipTest", [[each.tolist()] for each in sizes]), strict=True):
        assert result["p_value"] == pytest.approx(listed(changes), rel=1e-9)


def test_the_p_value_of_one_try_each_is_mcnemars(ours: Results, chance: np.random.Generator) -> None:
    samples = [some_queries(chance, count, lambda: (1, 1), 0.02) for count in chance.integers(1, 1000, 40)]
    for queries, result in compared(ours, samples):
        changes = differences(queries)
        expected = mcnemar([[0, (changes < 0).sum()], [(changes > 0).sum(), 0]], exact=True).pvalue
        assert result["p_value"] == pytest.approx(expected, rel=1e-9)
        assert result["exact"]


def test_with_unequal_tries_no_p_value_is_smaller_than_its_interval_s(
    ours: Results, chance: np.random.Generator
) -> None:
    samples = [some_queries(chance, n, lambda: chance.integers(1, 4, 2), 0.4) for n in chance.integers(2, 11, 40)]
    for queries, result in compared(ours, samples):
        flipped = listed((differences(queries) * 6).round())
        if flipped == 1 or all(len(before) == len(after) for before, after in queries):
            assert result["p_value"] == pytest.approx(flipped, rel=1e-9)
        else:
            side = 0 if differences(queries).mean() > 0 else 1
            reaching = brentq(lambda z, side=side, queries=queries: change_interval(queries, z)[side], 1e-9, 30)
            assert result["p_value"] == pytest.approx(max(flipped, 2 * stats.norm.sf(reaching)), rel=1e-6)
            assert not result["exact"]


def counted(changes: np.ndarray) -> float:
    """Of all signs the share whose sum is as far from 0, by the distribution of the sum."""
    sizes = np.abs(changes)
    shares = np.ones(1)
    for size in sizes[sizes > 0]:
        more = np.zeros(len(shares) + size)
        more[: len(shares)] += shares / 2
        more[size:] += shares / 2
        shares = more
    return min(1.0, 2 * float(shares[(sizes.sum() + abs(changes.sum())) // 2 :].sum()))


def flips(ours: Results, samples: list[np.ndarray], unit: float = 1) -> Iterator[tuple[float, Any]]:
    """The p-value by `counted`, and ours."""
    calls = [[(changes / unit).tolist()] for changes in samples]
    return zip(map(counted, samples), ours("signFlipTest", calls), strict=True)


@pytest.mark.parametrize(("largest", "most"), [(3, 2000), (64, 300)])
def test_the_p_value_of_many_queries_counts_all_signs_too(
    ours: Results, chance: np.random.Generator, largest: int, most: int
) -> None:
    samples = [chance.integers(-largest, largest + 1, count) for count in chance.integers(20, most, 20)]
    for expected, result in flips(ours, [each + chance.binomial(1, chance.random(), len(each)) for each in samples]):
        assert result["p_value"] == pytest.approx(expected, rel=1e-8, abs=1e-280)
        assert result["exact"]


def test_what_would_take_long_is_approximated(ours: Results, chance: np.random.Generator) -> None:
    for expected, result in flips(ours, [chance.integers(-60, 61, 2700) + shift for shift in (0, 1, 2, 4)]):
        assert result["p_value"] == pytest.approx(expected, rel=1e-4)
        assert not result["exact"]
    no_whole_numbers = [chance.integers(-1100, 1101, 60) + 100 * shift for shift in range(8)]
    for expected, result in flips(ours, no_whole_numbers, unit=1111.1):
        assert result["p_value"] == pytest.approx(expected, rel=0.02)
        assert not result["exact"]


def test_over_training_runs(ours: Results, chance: np.random.Generator) -> None:
    samples = [chance.normal(0.1, 0.05, count) for count in chance.integers(2, 9, 200)]
    results = ours("compareRuns", [[runs.tolist()] for runs in samples])
    for runs, result in zip(samples, results, strict=True):
        expected = stats.ttest_1samp(runs, 0).confidence_interval()
        assert result["difference"] == pytest.approx(runs.mean(), abs=1e-12)
        assert result["interval"] == pytest.approx(np.clip([expected.low, expected.high], -1, 1), abs=1e-9)


def test_power_by_all_tables(ours: Results, chance: np.random.Generator) -> None:
    calls = []
    for _ in range(200):
        discordant = float(chance.choice([1, chance.random()]))
        difference = float(discordant * chance.choice([0, 1, -1, chance.uniform(-1, 1)]))
        calls.append([int(chance.integers(0, 41)), discordant, difference, float(chance.choice([0.05, 0.2, 2**-5]))])
    lost, won = np.meshgrid(np.arange(41), np.arange(41), indexing="ij")
    p_values = np.minimum(1, 2 * stats.binom.cdf(np.minimum(lost, won), lost + won, 0.5))
    for (n, discordant, difference, alpha), power in zip(calls, ours("powerOf", calls), strict=True):
        rejected = (lost + won <= n) & (p_values <= alpha * (1 + 1e-9))
        tables = np.stack([lost, won, n - lost - won], axis=-1)[rejected]
        cells = [(discordant - difference) / 2, (discordant + difference) / 2, 1 - discordant]
        assert power == pytest.approx(stats.multinomial.pmf(tables, n, cells).sum(), abs=1e-9)
