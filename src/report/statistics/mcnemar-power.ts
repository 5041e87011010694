/**
 * What a paired comparison can find: the power of the two-sided exact McNemar test, with one try a query on each side.
 * `discordant` is the share of queries with two different outcomes, `difference` the change of the rate, after - before;
 * both are shares between 0 and 1, and a difference counts whatever its sign.
 */
import { binomial, normalQuantile } from './distributions.ts';

interface Effect {
  discordant: number;
  difference: number;
}

/** So many sizes in a row must have the power that was asked for: many teeth of the saw. */
const WINDOW = 50;
/** From so many queries on Connor's formula alone, which is then within 0.1 %. */
const MANY = 200_000;

/** Chance that the test of `n` queries has p <= alpha. */
export function powerOf(n: number, discordant: number, difference: number, alpha = 0.05): number {
  return powerFunction({ discordant, difference }, alpha)(n);
}

/**
 * The number of queries from which on the test finds the difference with this power. The power of an exact test rises
 * like a saw, a step up and a slope down, as its p-values are discrete: this is the smallest number for which no larger
 * one falls short (the next 50 are tried). Infinity for no difference.
 */
export function queriesNeeded(wanted: Effect & { power?: number; alpha?: number }): number {
  const { discordant, difference, power: least = 0.8, alpha = 0.05 } = wanted;
  if (!(0 < least && least < 1)) throw new RangeError(`a power lies between 0 and 1, ${least} does not`);
  const power = powerFunction({ discordant, difference }, alpha);
  if (difference === 0) return Number.POSITIVE_INFINITY;
  const start = connor(wanted, least, alpha);
  if (start > MANY) return start;

  let high = start;
  while (power(high) < least) high = Math.ceil(high * 1.1) + 1;
  let low = Math.min(start, high - 1);
  while (low > 0 && power(low) >= least) low = Math.floor(low / 1.1);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (power(middle) < least) low = middle;
    else high = middle;
  }
  let needed = high;
  for (let n = high; n <= needed + WINDOW; n++) {
    if (power(n) < least) needed = n + 1;
  }
  return needed;
}

/** Connor, Sample size for testing differences in proportions for the paired-sample design, Biometrics 43 (1987). */
function connor({ discordant, difference }: Effect, power: number, alpha: number): number {
  const chance = normalQuantile(alpha / 2) * Math.sqrt(discordant);
  const spread = normalQuantile(1 - power) * Math.sqrt(discordant - difference ** 2);
  return Math.ceil((Math.max(0, chance + spread) / difference) ** 2);
}

/**
 * The smallest difference that `n` queries find with this power, when the discordant queries are `discordant(difference)`
 * of all; null where not even `largest` is found. The power has to rise with the difference.
 */
export function smallestDifference(
  n: number,
  discordant: (difference: number) => number,
  { largest, power = 0.8, alpha = 0.05 }: { largest: number; power?: number; alpha?: number },
): number | null {
  const found = (difference: number) =>
    powerFunction({ discordant: discordant(difference), difference }, alpha)(n) >= power;
  if (!found(largest)) return null;
  let [low, high] = [0, largest];
  while (high - low > 1e-5) {
    const middle = (low + high) / 2;
    if (found(middle)) high = middle;
    else low = middle;
  }
  return high;
}

/** Power by the number of queries: the discordant ones are a binomial count, and the test sees only these. */
function powerFunction({ discordant, difference }: Effect, alpha: number): (n: number) => number {
  const size = Math.abs(difference);
  if (!(size <= discordant && discordant <= 1)) {
    throw new RangeError(
      `a difference of ${difference} needs a share of ${size} to 1 of discordant queries, not ${discordant}`,
    );
  }
  if (!(0 < alpha && alpha < 1)) throw new RangeError(`alpha lies between 0 and 1, ${alpha} does not`);
  const rejected = rejections(discordant === 0 ? 0.5 : (discordant + size) / (2 * discordant), alpha);
  return (n) => {
    const { first, shares } = binomial(n, discordant);
    return shares.reduce((sum, share, index) => sum + share * rejected(first + index), 0);
  };
}

/**
 * P(p-value <= alpha) by the number of discordant pairs, of which each is won with probability `won`. One walk from no
 * pair upwards gives all: the tails change by one term a pair.
 */
function rejections(won: number, alpha: number): (pairs: number) => number {
  const known = [0];
  // At most `critical` of the rarer kind make p <= alpha; each tail is up to there.
  const chance = new LowerTail(0.5);
  const tails = [chance, new LowerTail(won), new LowerTail(1 - won)];
  return (pairs) => {
    while (known.length <= pairs) {
      for (const tail of tails) tail.addPair();
      // p-values that are alpha but for rounding count as alpha.
      while (2 * chance.withNext() <= alpha * (1 + 1e-9)) for (const tail of tails) tail.addCount();
      known.push((tails[1] as LowerTail).upTo + (tails[2] as LowerTail).upTo);
    }
    return known[pairs] as number;
  };
}

/** P(count <= most) of a binomial count, as the number of pairs and `most`, at first -1, grow. */
class LowerTail {
  upTo = 0;
  private pairs = 0;
  private most = -1;
  private share = 0;

  constructor(private readonly p: number) {}

  addPair(): void {
    this.upTo -= this.p * this.share;
    this.pairs++;
    this.share *= ((1 - this.p) * this.pairs) / (this.pairs - this.most);
  }

  addCount(): void {
    this.share = this.next();
    this.upTo += this.share;
    this.most++;
  }

  withNext(): number {
    return this.upTo + this.next();
  }

  /** P(count = most + 1). */
  private next(): number {
    if (this.most < 0) return (1 - this.p) ** this.pairs;
    if (this.share === 0) return 0;
    return (this.share * (this.pairs - this.most) * this.p) / ((this.most + 1) * (1 - this.p));
  }
}
