"""The statistics of a report by scipy, statsmodels and the papers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

Interval = tuple[float, float]
#: Beyond so many steps the report approximates a p-value to a ten-thousandth of it.
_COUNTED_STEPS = 1e8


@dataclass
class Rate:
    rate: float
    interval: Interval
    #: Of tries that count one each: k / n.
    exact: bool = True


@dataclass
class Change:
    """Tries of the same queries under two conditions."""

    n: int
    queries: int
    before: Rate
    after: Rate
    lost: int
    won: int
    difference: float
    interval: Interval
    p: float
    #: How far off the report's p-value may be, relatively.
    p_off: float = 1e-7
    holm_p: float = math.nan

    @property
    def exact(self) -> bool:
        return self.queries == self.n

    @property
    def outcome(self) -> str:
        if self.holm_p >= 0.05:
            return "no change shown"
        return "gain" if self.difference > 0 else "loss"


def change(tries: Sequence[tuple[str, bool, bool]]) -> Change:
    """Of (query, passed before, passed after); by query where one has several tries."""
    queries = {query for query, _, _ in tries}
    pairs = [(before, after) for _, before, after in tries]
    counts = [pairs.count(pair) for pair in ((True, True), (True, False), (False, True), (False, False))]
    if len(queries) < len(tries):
        return _change_by_query(tries, counts)
    a, b, c, d = counts
    n = len(tries)
    before, after = wilson(a + b, n), wilson(a + c, n)
    p = float(mcnemar([[a, b], [c, d]], exact=True).pvalue) if b + c else 1.0
    return Change(n, n, before, after, b, c, after.rate - before.rate, newcombe(a, b, c, d), p)


def wilson(k: float, n: float) -> Rate:
    if n == 0:
        return Rate(0.0, (0.0, 1.0))
    low, high = proportion_confint(k, n, 0.05, method="wilson")
    return Rate(k / n, (0.0 if k == 0 else float(low), 1.0 if k == n else float(high)))


def newcombe(a: int, b: int, c: int, d: int) -> Interval:
    """Method 10 of Newcombe (1998): score intervals, squared and added with the corrected phi."""
    n = a + b + c + d
    if n == 0:
        return -1.0, 1.0
    q = a * d - b * c
    q_corrected = q - n / 2 if q > n / 2 else 0 if q >= 0 else q
    margins = (a + b) * (c + d) * (a + c) * (b + d)
    phi = q_corrected / math.sqrt(margins) if margins else 0.0
    return _square_and_add(wilson(a + c, n), wilson(a + b, n), phi)


def _square_and_add(one: Rate, other: Rate, phi: float) -> Interval:
    """Of one - other."""
    dl1, du1 = one.rate - one.interval[0], one.interval[1] - one.rate
    dl2, du2 = other.rate - other.interval[0], other.interval[1] - other.rate
    delta = math.sqrt(max(0.0, dl1**2 - 2 * phi * dl1 * du2 + du2**2))
    epsilon = math.sqrt(max(0.0, du1**2 - 2 * phi * du1 * dl2 + dl2**2))
    theta = one.rate - other.rate
    return theta - delta, theta + epsilon


def mean_by_query(shares: Sequence[Fraction], tries: int) -> Rate:
    """Mean of a share of each query, of ``tries`` tries in all; Wilson's interval of the effective number of tries."""
    n = len(shares)
    values = np.array([float(share) for share in shares])
    rate = float(sum(shares) / n)
    effective = float(n)
    if len(set(shares)) > 1:
        variance = float(np.var(values, ddof=1)) / n
        shrink = (stats.norm.ppf(0.975) / stats.t.ppf(0.975, n - 1)) ** 2
        effective = max(n, min(tries, rate * (1 - rate) / variance * shrink))
    return Rate(rate, wilson(rate * effective, effective).interval, exact=False)


def pass_at(k: int, tries: int, passed: int) -> Fraction:
    return 1 - Fraction(math.comb(tries - passed, k), math.comb(tries, k))


def _change_by_query(tries: Sequence[tuple[str, bool, bool]], counts: Sequence[int]) -> Change:
    outcomes: dict[str, list[tuple[bool, bool]]] = {}
    for query, first, last in tries:
        outcomes.setdefault(query, []).append((first, last))
    firsts = [Fraction(sum(first for first, _ in pairs), len(pairs)) for pairs in outcomes.values()]
    lasts = [Fraction(sum(last for _, last in pairs), len(pairs)) for pairs in outcomes.values()]
    before, after = mean_by_query(firsts, len(tries)), mean_by_query(lasts, len(tries))
    differences = [last - first for first, last in zip(firsts, lasts, strict=True)]
    p, p_off = sign_flip(differences)
    return Change(
        n=len(tries),
        queries=len(outcomes),
        before=before,
        after=after,
        lost=counts[1],
        won=counts[2],
        difference=float(sum(differences) / len(differences)),
        interval=_square_and_add(after, before, _correlation(firsts, lasts)),
        p=p,
        p_off=p_off,
    )


def _correlation(firsts: Sequence[Fraction], lasts: Sequence[Fraction]) -> float:
    """Of the queries' rates, with half of one taken from a positive sum of products, as in Newcombe's phi."""
    n = len(firsts)
    mean_first, mean_last = sum(firsts) / Fraction(n), sum(lasts) / Fraction(n)
    product = sum((x - mean_first) * (y - mean_last) for x, y in zip(firsts, lasts, strict=True))
    squares = sum((x - mean_first) ** 2 for x in firsts) * sum((y - mean_last) ** 2 for y in lasts)
    if squares == 0:
        return 0.0
    return float(max(product - Fraction(1, 2), Fraction(0)) if product > 0 else product) / math.sqrt(squares)


def sign_flip(differences: Sequence[Fraction]) -> tuple[float, float]:
    """Share of all choices of signs whose sum is at least as far from 0, and how far off the report's may be."""
    unit = math.lcm(*(difference.denominator for difference in differences))
    whole = [int(difference * unit) for difference in differences if difference]
    common = math.gcd(*whole) or 1
    sizes = [abs(each) // common for each in whole]
    total, seen = sum(sizes), abs(sum(whole)) // common
    # shares[i]: the chance that the sum with random signs is 2 i - total.
    shares = np.zeros(total + 1)
    shares[0] = 1.0
    for size in sizes:
        shares[size:] = (shares[size:] + shares[: total + 1 - size]) / 2
        shares[:size] /= 2
    sums = 2 * np.arange(total + 1) - total
    counted = len(set(sizes)) <= 1 or max(len(sizes), 40) * total / 2 <= _COUNTED_STEPS
    return min(1.0, float(shares[np.abs(sums) >= seen].sum())), 1e-7 if counted else 2e-4


def adjust(changes: Sequence[Change]) -> None:
    """The p-values of Holm (1979)."""
    if not changes:
        return
    adjusted = multipletests([each.p for each in changes], method="holm")[1]
    for each, p in zip(changes, adjusted, strict=True):
        each.holm_p = float(p)
