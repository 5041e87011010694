/** The distributions that intervals and tests need, by sums whose terms have one sign: no digits are lost in the tails. */

/** P(N > z) of the standard normal: a power series, and the continued fraction of Laplace for what is far out. */
export function normalTail(z: number): number {
  if (z < 0) return 1 - normalTail(-z);
  if (z < 3) return 0.5 - normalDensity(z) * normalSeries(z);
  let below = z;
  for (let depth = 100; depth >= 1; depth--) below = z + depth / below;
  return normalDensity(z) / below;
}

export function normalDensity(z: number): number {
  return Math.exp(-(z ** 2) / 2) / Math.sqrt(2 * Math.PI);
}

/** z + z^3/3 + z^5/(3 5) + ... */
function normalSeries(z: number): number {
  let term = z;
  let sum = 0;
  for (let odd = 3; sum + term !== sum; odd += 2) {
    sum += term;
    term *= z ** 2 / odd;
  }
  return sum;
}

/** The z that a standard normal exceeds with probability `tail`, for 0 < tail < 1. */
export function normalQuantile(tail: number): number {
  return bisect(-40, 40, (z) => normalTail(z) > tail);
}

/** The t with P(-t < T < t) = `confidence` of Student's distribution. */
export function studentQuantile(degreesOfFreedom: number, confidence = 0.95): number {
  const angle = bisect(0, Math.PI / 2, (angle) => studentWithin(angle, degreesOfFreedom) < confidence);
  return Math.tan(angle) * Math.sqrt(degreesOfFreedom);
}

/**
 * P(-t < T < t) for t = tan(angle) sqrt(degreesOfFreedom), a whole number of them: the finite sums of Abramowitz and
 * Stegun, Handbook of Mathematical Functions (1964), 26.7.3 and 26.7.4.
 */
function studentWithin(angle: number, degreesOfFreedom: number): number {
  const even = degreesOfFreedom % 2 === 0;
  const squared = Math.cos(angle) ** 2;
  let term = even ? 1 : Math.cos(angle);
  let sum = 0;
  for (let power = even ? 0 : 1; power <= degreesOfFreedom - 2; power += 2) {
    sum += term;
    term *= (squared * (power + 1)) / (power + 2);
  }
  return even ? Math.sin(angle) * sum : (2 / Math.PI) * (angle + Math.sin(angle) * sum);
}

/** Where `below` turns from true to false, to the last digit. */
export function bisect(low: number, high: number, below: (value: number) => boolean): number {
  for (;;) {
    const middle = (low + high) / 2;
    if (middle <= low || middle >= high) return high;
    if (below(middle)) low = middle;
    else high = middle;
  }
}

/** Probabilities of the counts `first`, `first` + 1, ...; those left out are too rare to matter beside them. */
export interface Counts {
  first: number;
  shares: Float64Array;
}

const RARE = 1e-17;

/** Binomial distribution, from its most probable count outwards: no factorials that overflow. */
export function binomial(n: number, p: number): Counts {
  const mode = Math.min(n, Math.floor((n + 1) * p));
  const down: number[] = [];
  let total = 1;
  for (let k = mode, term = 1; k > 0 && term > RARE; k--) {
    term *= (k * (1 - p)) / ((n - k + 1) * p);
    total += term;
    down.push(term);
  }
  const up = [1];
  for (let k = mode, term = 1; k < n && term > RARE; k++) {
    term *= ((n - k) * p) / ((k + 1) * (1 - p));
    total += term;
    up.push(term);
  }
  const shares = new Float64Array(down.length + up.length);
  for (const [index, term] of down.entries()) shares[down.length - 1 - index] = term / total;
  for (const [index, term] of up.entries()) shares[down.length + index] = term / total;
  return { first: mode - down.length, shares };
}
