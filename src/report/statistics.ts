/**
 * The statistics of a report. Everything is exact or a score method: samples of tens to thousands of queries are too
 * few for the normal approximation near 0 and 1.
 */

/** A share: `k` of `n`, with its Wilson 95 % interval. */
export interface Proportion {
  k: number;
  n: number;
  rate: number;
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
  /** after - before, with its 95 % interval, and the two-sided exact McNemar p-value. */
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

export function proportion(k: number, n: number): Proportion {
  return { k, n, rate: n === 0 ? 0 : k / n, interval: wilsonInterval(k, n) };
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
  const before = (both + onlyBefore) / n;
  const after = (both + onlyAfter) / n;
  const [beforeLow, beforeHigh] = wilsonInterval(both + onlyBefore, n);
  const [afterLow, afterHigh] = wilsonInterval(both + onlyAfter, n);

  const margins = (both + onlyBefore) * (onlyAfter + neither) * (both + onlyAfter) * (onlyBefore + neither);
  const product = both * neither - onlyBefore * onlyAfter;
  const corrected = product > 0 ? Math.max(product - n / 2, 0) : product;
  const phi = margins === 0 ? 0 : corrected / Math.sqrt(margins);

  const reach = (down: number, up: number) => Math.sqrt(down ** 2 - 2 * phi * down * up + up ** 2);
  const difference = after - before;
  return [
    difference - reach(after - afterLow, beforeHigh - before),
    difference + reach(afterHigh - after, before - beforeLow),
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
