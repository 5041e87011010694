/**
 * Rates and changes where a query is tried several times (also by several trained models). Queries are what is drawn at
 * random, so all is clustered by query: tries of one query are no new evidence about other queries. A rate is the mean
 * over the queries of each query's own rate, as in Miller, Adding Error Bars to Evals (arXiv 2411.00640).
 */
import { type Interval, mean, type Rate, squareAndAdd, wilsonInterval } from '../statistics.ts';
import { bisect, normalTail, studentQuantile } from './distributions.ts';
import { greatestCommonDivisor, type SignFlip, signFlipTest } from './sign-flip.ts';

/** The tries of one query: 1 where it passed, 0 where it failed. At least one. */
export type Tries = readonly number[];

/** A rate over queries, with its 95 % interval. */
export interface ClusteredRate {
  queries: number;
  tries: number;
  /** Mean over the queries of the share of tries that passed; 0 without a query. */
  rate: number;
  interval: Interval;
}

/** The same queries under two conditions. */
export interface ClusteredComparison {
  queries: number;
  before: ClusteredRate;
  after: ClusteredRate;
  /** Queries whose rate rose, and fell. */
  won: number;
  lost: number;
  /** after - before: the mean over the queries of their changes, and its 95 % interval. */
  difference: number;
  interval: Interval;
  /** Of the difference, clustered by query; null with fewer than two queries. */
  standard_error: number | null;
  /** Two-sided, of the sign-flip test by query; `exact` is false where it is an approximation. */
  p_value: number;
  exact: boolean;
}

/** The change over several training runs, each of which is one difference. */
export interface RunsComparison {
  runs: number;
  /** Mean of the differences; 0 without a run. */
  difference: number;
  /** 95 %; null where it can't be told: of fewer than two runs, or of runs that all agree. */
  interval: Interval | null;
}

/** One condition: how many of its tries each query passed. */
interface Side {
  counts: readonly { passed: number; tries: number }[];
  /** The share that each query passed, and the mean of these. */
  means: readonly number[];
  rate: number;
  tries: number;
  /** As many independent tries would tell as much of the rate. */
  effective: number;
}

const Z95 = 1.959963984540054;
/** Common denominators beyond this are left alone: of tries up to 16 all fit. */
const LARGEST_UNIT = 1e6;

/**
 * A rate with the Wilson interval of an effective number of tries: as many independent tries as would leave the rate as
 * uncertain as the spread between queries leaves it, made smaller for few queries by Student's t (Korn and Graubard,
 * Survey Methodology 24, 1998; Franco, Little, Louis and Slud, JSSAM 7, 2019). It is never more than the tries there are,
 * and never less than the queries: no spread between 0 and 1 is wider than all or nothing. So with one try a query it is
 * Wilson's, and so it is, on the number of queries, when all queries have the same rate, which tells no spread.
 */
export function clusteredRate(queries: readonly Tries[]): ClusteredRate {
  return withInterval(sideOf(queries));
}

/** A mean over queries of shares that are no counts of tries, such as pass@k; `tries` of a query made each. */
export function meanOverQueries(shares: readonly number[], tries: number): Rate {
  const rate = mean(shares);
  const effective = effectiveTries(shares, rate, shares.length * tries);
  return { rate, interval: wilsonInterval(rate * effective, effective) };
}

function sideOf(queries: readonly Tries[]): Side {
  const counts = queries.map((each) => ({ passed: passes(each), tries: each.length }));
  const means = counts.map(({ passed, tries }) => passed / tries);
  const tries = counts.reduce((sum, count) => sum + count.tries, 0);
  const rate = mean(means);
  return { counts, means, rate, tries, effective: effectiveTries(means, rate, tries) };
}

function passes(tries: Tries): number {
  if (tries.length === 0) throw new RangeError('a query without a try has no rate');
  let passed = 0;
  for (const outcome of tries) {
    if (outcome !== 0 && outcome !== 1) throw new RangeError(`an outcome is 0 or 1, not ${outcome}`);
    passed += outcome;
  }
  return passed;
}

function withInterval({ means, effective, rate, tries }: Side, z = Z95): ClusteredRate {
  return { queries: means.length, tries, rate, interval: wilsonInterval(rate * effective, effective, z) };
}

/** At most `tries`, at least the queries; see `clusteredRate`. */
function effectiveTries(means: readonly number[], rate: number, tries: number): number {
  const queries = means.length;
  if (means.every((one) => one === means[0])) return queries;
  const effective = (rate * (1 - rate)) / standardError(means) ** 2;
  return Math.max(queries, Math.min(tries, effective * (Z95 / studentQuantile(queries - 1)) ** 2));
}

/** Of a mean, from the spread of its values, of which there are at least two. */
function standardError(values: readonly number[]): number {
  const centre = mean(values);
  const squares = values.reduce((sum, value) => sum + (value - centre) ** 2, 0);
  return Math.sqrt(squares / (values.length - 1) / values.length);
}

/**
 * Compare the same queries before and after; both sides may have any number of tries, but at least one.
 *
 * The interval is Newcombe's square-and-add (see `pairedInterval`, which it is with one try on each side) of the two
 * clustered intervals, with the correlation of the queries' rates before and after. A t interval of the queries' changes
 * is the same for many queries, but too short where few queries change, and of no length where none does. The standard
 * error is the cluster-robust one (CR1) of the tries where all queries have as many.
 *
 * The p-value is of the sign-flip test (see `signFlipTest`), McNemar's exact one with one try on each side. It takes a
 * query to be as likely to gain as to lose just as much. Where a query has more tries on one side that isn't so, even if
 * nothing changed: where passing is rare, one try seldom loses much and eight often gain a little. Then the p-value is
 * no smaller than that of the interval, which keeps its level: that of the confidence with which it just reaches 0.
 */
export function compareClustered(queries: readonly { before: Tries; after: Tries }[]): ClusteredComparison {
  const before = sideOf(queries.map((query) => query.before));
  const after = sideOf(queries.map((query) => query.after));
  const changes = changesOf(before, after);
  return {
    queries: queries.length,
    before: withInterval(before),
    after: withInterval(after),
    won: changes.filter((change) => change > 0).length,
    lost: changes.filter((change) => change < 0).length,
    difference: after.rate - before.rate,
    interval: intervalOfChange(before, after)(Z95),
    standard_error: queries.length < 2 ? null : standardError(differencesOf(before, after)),
    ...testOfChange(before, after, changes),
  };
}

/** By the z of the confidence: 1.96 of 95 %. */
function intervalOfChange(before: Side, after: Side): (z: number) => Interval {
  const together = correlation(before.means, after.means);
  return (z) => squareAndAdd(withInterval(before, z), withInterval(after, z), together);
}

function testOfChange(before: Side, after: Side, changes: readonly number[]): SignFlip {
  const flipped = signFlipTest(changes);
  const equal = before.counts.every(({ tries }, index) => tries === after.counts[index]?.tries);
  if (equal || flipped.p_value === 1) return flipped;
  const interval = intervalOfChange(before, after);
  const reaches0 = bisect(0, 40, (z) => interval(z)[0] > 0 || interval(z)[1] < 0);
  return { p_value: Math.max(flipped.p_value, 2 * normalTail(reaches0)), exact: false };
}

/** after - before of each query. */
function differencesOf(before: Side, after: Side): number[] {
  return after.means.map((one, index) => one - (before.means[index] as number));
}

/** The differences in units of the common denominator, whole numbers; as they are where it is too large. */
function changesOf(before: Side, after: Side): number[] {
  const unit = [...before.counts, ...after.counts].reduce(
    (multiple, { tries }) => (multiple > LARGEST_UNIT ? multiple : leastCommonMultiple(multiple, tries)),
    1,
  );
  if (unit > LARGEST_UNIT)
    return differencesOf(before, after).map((one) => (Math.abs(one) < 1e-12 ? 0 : one));
  const inUnits = ({ counts }: Side) => counts.map(({ passed, tries }) => passed * (unit / tries));
  const from = inUnits(before);
  return inUnits(after).map((one, index) => one - (from[index] as number));
}

function leastCommonMultiple(a: number, b: number): number {
  return (a / greatestCommonDivisor(a, b)) * b;
}

/** Of the queries' rates, with the correction for continuity of Newcombe, which for one try each is his phi. */
function correlation(before: readonly number[], after: readonly number[]): number {
  const n = before.length;
  const [b, a] = [mean(before), mean(after)];
  let [product, squaresBefore, squaresAfter] = [0, 0, 0];
  for (const [index, one] of before.entries()) {
    const other = after[index] as number;
    product += (one - b) * (other - a);
    squaresBefore += (one - b) ** 2;
    squaresAfter += (other - a) ** 2;
  }
  const corrected = product > 0 ? Math.max(product - 1 / 2, 0) : product;
  const scale = Math.sqrt(squaresBefore * squaresAfter);
  return scale <= 1e-12 * n ? 0 : corrected / scale;
}

/**
 * The change over training runs of one configuration, each with its own seed: a t interval of the runs' differences. It
 * speaks of what training gives; an interval clustered by query speaks of these trained models on other queries.
 */
export function compareRuns(differences: readonly number[]): RunsComparison {
  const runs = differences.length;
  const difference = mean(differences);
  if (differences.every((one) => one === differences[0])) return { runs, difference, interval: null };
  const reach = studentQuantile(runs - 1) * standardError(differences);
  return { runs, difference, interval: [Math.max(-1, difference - reach), Math.min(1, difference + reach)] };
}
