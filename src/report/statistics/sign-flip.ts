/**
 * The sign-flip test (Fisher's randomisation test of paired differences): if a query is as likely to gain as to lose, any
 * of the differences could as well have had the other sign.
 */
import { mcnemarExact } from '../statistics.ts';
import { normalDensity, normalTail } from './distributions.ts';

export interface SignFlip {
  p_value: number;
  /** Whether all signs were counted; otherwise `p_value` is the saddlepoint approximation. */
  exact: boolean;
}

/** More sums than this are approximated: about a tenth of a second. */
const MOST_STEPS = 1e8;
/** So many differences can be counted whatever they are: a million sums of each half of them. */
const FEW = 40;
/** Ends of a distribution below this are left out: numbers that small are slow, and no p-value needs them. */
const NOTHING = 1e-300;

/**
 * Two-sided p-value of the sum of `differences`, one a query: the share of all 2^n choices of signs whose sum is at least
 * as far from 0. Whole numbers (differences in units of their common denominator) and up to 40 of any kind are counted
 * exactly; differences of one size are McNemar's test. What would take more than `MOST_STEPS` is the saddlepoint
 * approximation of Robinson, Saddlepoint approximations for permutation tests and confidence intervals, JRSS B 44 (1982):
 * within 0.01 % for whole numbers, for others within 1 to 2 % above p = 1e-4, and a fifth at 1e-12.
 */
export function signFlipTest(differences: readonly number[]): SignFlip {
  const { sizes, sum, whole } = inLowestTerms(differences);
  const largest = sizes[0] ?? 0;
  const total = sizes.reduce((all, size) => all + size, 0);
  // Of differences that aren't whole the sum has rounding errors.
  if (sum <= 1e-12 * total) return { p_value: 1, exact: true };
  if (sizes.at(-1) === largest) {
    const lost = Math.round((sizes.length - sum / largest) / 2);
    return { p_value: mcnemarExact(lost, sizes.length - lost), exact: true };
  }
  const exact = (tail: number) => ({ p_value: Math.min(1, 2 * tail), exact: true });
  if (whole && (Math.max(sizes.length, FEW) * total) / 2 <= MOST_STEPS)
    return exact(countedTail(sizes, (total + sum) / 2));
  if (sizes.length <= FEW) return exact(listedTail(sizes, sum - 1e-12 * total));
  // Whole sums are 2 apart: half a step is the correction for continuity.
  const tail = saddlepointTail(sizes, whole ? sum - 1 : sum);
  return { p_value: Math.min(1, 2 * tail), exact: false };
}

/** Sizes of the differences that aren't 0, the largest first, and the size of their sum. */
function inLowestTerms(differences: readonly number[]): { sizes: number[]; sum: number; whole: boolean } {
  const sizes = differences.filter((difference) => difference !== 0).map(Math.abs);
  const sum = Math.abs(differences.reduce((all, difference) => all + difference, 0));
  sizes.sort((a, b) => b - a);
  if (!sizes.every(Number.isSafeInteger)) return { sizes, sum, whole: false };
  const unit = sizes.reduce(greatestCommonDivisor, 0) || 1;
  return { sizes: sizes.map((size) => size / unit), sum: sum / unit, whole: true };
}

export function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/**
 * P(sum of a random half of `sizes` >= least), by dynamic programming over that sum. Of the sums below `least` only those
 * are kept that can still reach it.
 */
function countedTail(sizes: readonly number[], least: number): number {
  const shares = new Float64Array(least);
  shares[0] = 1;
  let [low, high, tail] = [0, 0, 0];
  let rest = sizes.reduce((all, size) => all + size, 0);
  const at = (sum: number) => shares[sum] as number;
  for (const size of sizes) {
    rest -= size;
    for (let sum = Math.max(low, least - size); sum <= high; sum++) tail += at(sum) / 2;
    const top = Math.min(least - 1, high + size);
    const reaching = Math.max(low, least - rest);
    for (let sum = top; sum >= reaching; sum--) {
      shares[sum] = (at(sum) + (sum < size ? 0 : at(sum - size))) / 2;
    }
    [low, high] = [reaching, top];
    while (low < high && at(low) < NOTHING) low++;
    while (high > low && at(high) < NOTHING) high--;
  }
  return tail;
}

/** P(sum of `sizes` with random signs >= least): the sums of the one half of `sizes` against those of the other. */
function listedTail(sizes: readonly number[], least: number): number {
  const half = sizes.length >> 1;
  const ones = signedSums(sizes.slice(0, half));
  const others = signedSums(sizes.slice(half));
  let reaching = 0;
  let first = others.length;
  for (const one of ones) {
    while (first > 0 && one + (others[first - 1] as number) >= least) first--;
    reaching += others.length - first;
  }
  return reaching / 2 ** sizes.length;
}

/** All sums of `sizes` with a sign each, the smallest first. */
function signedSums(sizes: readonly number[]): Float64Array {
  const sums = new Float64Array(2 ** sizes.length);
  for (const [index, size] of sizes.entries()) {
    for (let one = 0, other = 2 ** index; one < 2 ** index; one++, other++) {
      const sum = sums[one] as number;
      sums[one] = sum - size;
      sums[other] = sum + size;
    }
  }
  return sums.sort();
}

/** The same as `listedTail`, approximately: the formula of Lugannani and Rice, with the cumulants of random signs. */
function saddlepointTail(sizes: readonly number[], least: number): number {
  const all = sizes.reduce((sum, size) => sum + size, 0);
  if (least >= all * (1 - 1e-12)) return 2 ** -sizes.length;
  const over = (term: (size: number) => number) => sizes.reduce((sum, size) => sum + term(size), 0);
  const slope = (tilt: number) => over((size) => size * Math.tanh(tilt * size));
  const bend = (tilt: number) => over((size) => (size / Math.cosh(tilt * size)) ** 2);

  // The slope is concave: from the left, Newton's steps never pass the root.
  let tilt = 0;
  for (let step = Number.POSITIVE_INFINITY; step > 1e-12 * tilt; tilt += step) {
    step = (least - slope(tilt)) / bend(tilt);
  }
  const w = Math.sqrt(2 * (tilt * least - over((size) => logCosh(tilt * size))));
  const u = tilt * Math.sqrt(bend(tilt));
  return normalTail(w) + (w < 1e-4 ? 0 : normalDensity(w) * (1 / u - 1 / w));
}

/** Without losing the digits of small values, nor overflowing with large ones. */
function logCosh(x: number): number {
  return x > 20 ? x - Math.LN2 : Math.log1p(2 * Math.sinh(x / 2) ** 2);
}
