/**
 * The statistics of a report. Everything is exact or a score method: samples of tens to thousands of queries are too
 * few for the normal approximation near 0 and 1.
 */

export interface Rate {
  rate: number;
  interval: Interval;
}

/** `k` of `n`. */
export interface Share {
  k: number;
  n: number;
  rate: number;
}

/** A share with its 95 % interval: Wilson's, or one by query where a query has several tries. */
export interface Proportion extends Share {
  interval: Interval;
}

export type Interval = readonly [low: number, high: number];

/** The same queries under two conditions. */
export interface PairedComparison {
  /** Tries; `queries` of them are of different queries. */
  n: number;
  queries: number;
  both: number;
  only_before: number;
  only_after: number;
  neither: number;
  before: Proportion;
  after: Proportion;
  /**
   * after - before, with its 95 % interval, and the two-sided p-value: of the exact McNemar test or, where a query has several
   * tries, of its generalisation by query, the sign-flip test.
   */
  difference: number;
  interval: Interval;
  p_value: number;
}

const Z95 = 1.959963984540054;

/** Score interval of Wilson (1927), without continuity correction. An empty sample says nothing: [0, 1]. */
export function wilsonInterval(k: number, n: number, z = Z95): Interval {
  if (n === 0) return [0, 1];
  const rate = k / n;
  const centre = rate + z ** 2 / (2 * n);
  const spread = z * Math.sqrt((rate * (1 - rate)) / n + z ** 2 / (4 * n ** 2));
  const scale = 1 + z ** 2 / n;
  // At k = 0 and k = n the ends are exactly 0 and 1; rounding must not leave them.
  return [k === 0 ? 0 : (centre - spread) / scale, k === n ? 1 : (centre + spread) / scale];
}

export function share(k: number, n: number): Share {
  return { k, n, rate: n === 0 ? 0 : k / n };
}

export function proportion(k: number, n: number): Proportion {
  return { ...share(k, n), interval: wilsonInterval(k, n) };
}

/** 0 without a value. */
export function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Of an even number of values the mean of the two in the middle; 0 without a value. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const { length } = sorted;
  return ((sorted[(length - 1) >> 1] ?? 0) + (sorted[length >> 1] ?? 0)) / 2;
}

/**
 * Two-sided exact McNemar test: under the null the discordant pairs are fair coin flips. The binomial tail is summed in
 * integers, so that no tail is too small and no sample too large.
 */
export function mcnemarExact(onlyBefore: number, onlyAfter: number): number {
  const discordant = onlyBefore + onlyAfter;
  let term = 1n;
  let tail = 0n;
  for (let i = 0; i <= Math.min(onlyBefore, onlyAfter); i++) {
    tail += term;
    term = (term * BigInt(discordant - i)) / BigInt(i + 1);
  }
  return Math.min(1, divideByPowerOfTwo(2n * tail, discordant));
}

/** numerator / 2^exponent, of which both may be far beyond what a number holds. */
function divideByPowerOfTwo(numerator: bigint, exponent: number): number {
  const shift = Math.max(0, numerator.toString(2).length - 64);
  return Number(numerator >> BigInt(shift)) * 2 ** (shift - exponent);
}

/**
 * Interval of a difference of paired proportions: method 10 of Newcombe, "Improved confidence intervals for the
 * difference between binomial proportions based on paired data", Statistics in Medicine 17 (1998).
 */
export function pairedInterval(
  both: number,
  onlyBefore: number,
  onlyAfter: number,
  neither: number,
): Interval {
  const n = both + onlyBefore + onlyAfter + neither;
  if (n === 0) return [-1, 1];
  const margins = (both + onlyBefore) * (onlyAfter + neither) * (both + onlyAfter) * (onlyBefore + neither);
  const product = both * neither - onlyBefore * onlyAfter;
  const corrected = product > 0 ? Math.max(product - n / 2, 0) : product;
  const phi = margins === 0 ? 0 : corrected / Math.sqrt(margins);
  return squareAndAdd(proportion(both + onlyBefore, n), proportion(both + onlyAfter, n), phi);
}

/** Interval of after - before from those of the two rates and the correlation of what they are the means of. */
export function squareAndAdd(before: Rate, after: Rate, correlation: number): Interval {
  const [beforeLow, beforeHigh] = before.interval;
  const [afterLow, afterHigh] = after.interval;
  const reach = (down: number, up: number) => Math.sqrt(down ** 2 - 2 * correlation * down * up + up ** 2);
  const difference = after.rate - before.rate;
  return [
    difference - reach(after.rate - afterLow, beforeHigh - before.rate),
    difference + reach(afterHigh - after.rate, before.rate - beforeLow),
  ];
}

/** Compare outcomes of the same queries, in the same order. */
export function comparePaired(pairs: readonly { before: boolean; after: boolean }[]): PairedComparison {
  const count = (before: boolean, after: boolean) =>
    pairs.filter((pair) => pair.before === before && pair.after === after).length;
  const both = count(true, true);
  const only_before = count(true, false);
  const only_after = count(false, true);
  const neither = count(false, false);
  const n = pairs.length;
  const before = proportion(both + only_before, n);
  const after = proportion(both + only_after, n);
  return {
    n,
    queries: n,
    both,
    only_before,
    only_after,
    neither,
    before,
    after,
    difference: after.rate - before.rate,
    interval: pairedInterval(both, only_before, only_after, neither),
    p_value: mcnemarExact(only_before, only_after),
  };
}

/**
 * Several p-values of one report, adjusted so that with a threshold of 0.05 the chance of even one false alarm is at most
 * 5 %: Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6 (1979). In the
 * order given; NaN, a test that wasn't made, stays NaN and doesn't count.
 */
export function holm(pValues: readonly number[]): number[] {
  const adjusted = pValues.map(() => Number.NaN);
  const made = [...pValues.entries()].filter(([, p]) => !Number.isNaN(p)).sort(([, a], [, b]) => a - b);
  let floor = 0;
  for (const [rank, [index, p]] of made.entries()) {
    floor = Math.max(floor, Math.min(1, (made.length - rank) * p));
    adjusted[index] = floor;
  }
  return adjusted;
}

/**
 * Unbiased estimate of the chance that at least one of `k` tries passes, when `c` of `n` did: the chance for `k` of the
 * `n` without replacement (Chen et al., Evaluating Large Language Models Trained on Code, arXiv 2107.03374). It is summed
 * over the try that is the first to pass, so nothing overflows, nothing cancels, and pass@1 is c / n.
 */
export function passAtK(n: number, c: number, k: number): number {
  const valid = [n, c, k].every(Number.isSafeInteger) && 0 <= c && c <= n && 1 <= k && k <= n;
  if (!valid)
    throw new RangeError(`pass@k of n = ${n}, c = ${c}, k = ${k}: needs 0 <= c <= n and 1 <= k <= n`);
  if (n - c < k) return 1;
  let passed = 0;
  for (let tried = 0, allFailed = 1; tried < k; tried++) {
    passed += (allFailed * c) / (n - tried);
    allFailed *= (n - c - tried) / (n - tried);
  }
  return Math.min(1, passed);
}
