/** The edges. That the numbers are those of scipy and statsmodels is tested in workers/tests/test_report_statistics.py. */
import { describe, expect, test } from 'vitest';
import { clusteredRate, compareClustered, compareRuns } from '../../src/report/statistics/clustered.ts';
import { studentQuantile } from '../../src/report/statistics/distributions.ts';
import { signFlipTest } from '../../src/report/statistics/sign-flip.ts';
import { comparePaired, holm, mcnemarExact, passAtK, wilsonInterval } from '../../src/report/statistics.ts';
import { seededRandom } from '../random.ts';

/** A query `count` times. */
const times = <T>(count: number, query: T): T[] => Array<T>(count).fill(query);
const near = (interval: readonly number[]) => interval.map((end) => expect.closeTo(end, 12));

describe('a rate over queries', () => {
  test('counts every query alike, however often it was tried', () => {
    expect(clusteredRate([[1, 1, 1, 1, 1, 1], [0]])).toMatchObject({ queries: 2, tries: 7, rate: 0.5 });
  });

  test('with one try each is a share with its Wilson interval', () => {
    const { rate, interval } = clusteredRate([...times(7, [1]), ...times(3, [0])]);
    expect(rate).toBe(0.7);
    expect(interval).toEqual(near(wilsonInterval(7, 10)));
  });

  test.each([0, 1])('of queries that all give %d is as uncertain as one try each', (outcome) => {
    const { rate, interval } = clusteredRate(times(20, times(8, outcome)));
    expect(rate).toBe(outcome);
    expect(interval).toEqual(wilsonInterval(20 * outcome, 20));
  });

  test('of one query, or of queries that all pass as often, likewise', () => {
    expect(clusteredRate([[1, 0]]).interval).toEqual(wilsonInterval(0.5, 1));
    expect(clusteredRate(times(20, [1, 0])).interval).toEqual(wilsonInterval(10, 20));
  });

  test('knows no more than independent tries would tell, and no less than one try a query', () => {
    const length = (queries: number[][]) => {
      const [low, high] = clusteredRate(queries).interval;
      return high - low;
    };
    const [low, high] = wilsonInterval(200, 400);
    // Half of the tries of each query pass, but for two of them: more even than chance.
    const even = [...times(98, [1, 1, 0, 0]), [1, 1, 1, 0], [1, 0, 0, 0]];
    expect(length(even)).toBeCloseTo(high - low, 12);
    const allOrNothing = [...times(50, [1, 1, 1, 1]), ...times(50, [0, 0, 0, 0])];
    expect(length(allOrNothing)).toBeCloseTo(2 * (wilsonInterval(50, 100)[1] - 0.5), 12);
  });

  test('of nothing says nothing', () => {
    expect(clusteredRate([])).toEqual({ queries: 0, tries: 0, rate: 0, interval: [0, 1] });
  });

  test('takes outcomes alone, and at least one', () => {
    expect(() => clusteredRate([[]])).toThrow(RangeError);
    expect(() => clusteredRate([[0.5]])).toThrow(RangeError);
  });
});

describe('a change over queries', () => {
  test('with one try each is the paired comparison', () => {
    const random = seededRandom();
    for (let round = 0; round < 200; round++) {
      const pairs = Array.from({ length: 1 + Math.floor(random() * 60) }, () => ({
        before: random() < 0.3,
        after: random() < 0.5,
      }));
      const paired = comparePaired(pairs);
      const compared = compareClustered(
        pairs.map(({ before, after }) => ({ before: [before ? 1 : 0], after: [after ? 1 : 0] })),
      );
      expect(compared).toMatchObject({
        queries: paired.n,
        won: paired.only_after,
        lost: paired.only_before,
        difference: expect.closeTo(paired.difference, 12),
        interval: near(paired.interval),
        p_value: paired.p_value,
        exact: true,
      });
      expect(compared.before.interval).toEqual(near(paired.before.interval));
    }
  });

  test('that all queries make alike is not known without doubt', () => {
    const unchanged = compareClustered(times(50, { before: [1, 0], after: [0, 1] }));
    expect(unchanged).toMatchObject({ difference: 0, standard_error: 0, p_value: 1, won: 0, lost: 0 });
    const [low, high] = unchanged.interval;
    expect(low).toBeLessThan(-0.05);
    expect(high).toBeGreaterThan(0.05);

    const solved = compareClustered(times(50, { before: [0, 0], after: [1, 1] }));
    expect(solved).toMatchObject({ difference: 1, won: 50, lost: 0, p_value: mcnemarExact(0, 50) });
    expect(solved.interval[0]).toBeGreaterThan(0.85);
    expect(solved.interval[0]).toBeLessThan(0.95);
    expect(solved.interval[1]).toBe(1);
  });

  test('of no query, and of one', () => {
    expect(compareClustered([])).toMatchObject({
      queries: 0,
      difference: 0,
      interval: [-1, 1],
      standard_error: null,
      p_value: 1,
    });
    const one = compareClustered([{ before: [0, 0, 0], after: [1, 1, 0] }]);
    expect(one).toMatchObject({ queries: 1, standard_error: null, p_value: 1 });
    expect(one.interval[0]).toBeLessThan(0);
    expect(one.interval[1]).toBeLessThanOrEqual(1);
  });

  test('mirrors when before and after change places', () => {
    const queries = [
      { before: [1, 0, 0], after: [1, 1] },
      { before: [0, 0], after: [1, 0, 0, 0, 0] },
      { before: [1], after: [0, 0, 1] },
      { before: [0, 0, 0], after: [1, 1, 1] },
    ];
    const there = compareClustered(queries);
    const back = compareClustered(queries.map(({ before, after }) => ({ before: after, after: before })));
    expect(back.difference).toBeCloseTo(-there.difference, 12);
    expect(back.interval).toEqual(near([-there.interval[1], -there.interval[0]]));
    expect(back.p_value).toBeCloseTo(there.p_value, 12);
    expect([back.won, back.lost]).toEqual([there.lost, there.won]);
  });

  test('needs a try on each side', () => {
    expect(() => compareClustered([{ before: [1], after: [] }])).toThrow(RangeError);
    expect(() => compareClustered([{ before: [2], after: [1] }])).toThrow(RangeError);
  });

  // One try before, eight after, passing is rare: the sign-flip test alone would alarm 10 times in 100 here.
  test('is no false alarm where one side has more tries', () => {
    const random = seededRandom();
    const tries = (count: number, rate: number) =>
      Array.from({ length: count }, () => (random() < rate ? 1 : 0));
    let alarms = 0;
    for (let round = 0; round < 400; round++) {
      const queries = Array.from({ length: 100 }, () => {
        const rate = random() < 0.05 ? 0.3 : 0.01;
        return { before: tries(1, rate), after: tries(8, rate) };
      });
      if (compareClustered(queries).p_value <= 0.05) alarms++;
    }
    expect(alarms / 400).toBeLessThan(0.05);
  });

  test('of several tries is inside its interval about 95 times in 100', () => {
    const random = seededRandom();
    let covered = 0;
    for (let round = 0; round < 1000; round++) {
      const queries = Array.from({ length: 40 }, () => {
        const rate = random() * 0.6;
        const tries = (shift: number) => Array.from({ length: 4 }, () => (random() < rate + shift ? 1 : 0));
        return { before: tries(0), after: tries(random() < 0.5 ? 0.4 : 0) };
      });
      const [low, high] = compareClustered(queries).interval;
      if (low <= 0.2 && 0.2 <= high) covered++;
    }
    expect(covered / 1000).toBeGreaterThan(0.92);
    expect(covered / 1000).toBeLessThan(0.99);
  });

  test.each(['equal', 'unequal'])('of 15,000 queries of up to 64 tries, %s, takes no second', (kind) => {
    const random = seededRandom();
    const tries = (rate: number) => {
      const length = kind === 'equal' ? 64 : 1 + Math.floor(random() * 64);
      return Array.from({ length }, () => (random() < rate ? 1 : 0));
    };
    const queries = Array.from({ length: 15_000 }, () => {
      const rate = random() ** 2;
      return { before: tries(rate), after: tries(rate + 0.002) };
    });
    const start = process.cpuUsage();
    const { p_value, exact } = compareClustered(queries);
    const spent = process.cpuUsage(start);
    expect(p_value).toBeGreaterThan(0);
    expect(exact).toBe(false);
    expect((spent.user + spent.system) / 1e6).toBeLessThan(1);
  });
});

describe('sign-flip test', () => {
  test('of nothing, of zeros, of what cancels', () => {
    for (const differences of [[], [0, 0], [3, -3], [1, 2, -3], [0.1, 0.2, -0.3]]) {
      expect(signFlipTest(differences)).toEqual({ p_value: 1, exact: true });
    }
  });

  test('counted by hand', () => {
    expect(signFlipTest([1, 2]).p_value).toBe(2 / 4);
    expect(signFlipTest([-1, 2, 3]).p_value).toBe(4 / 8);
    expect(signFlipTest([0.1, 0.2, 0.4]).p_value).toBe(2 / 8);
    // A sum as far from 0 counts, though 0.1 + 0.2 is more than 0.3 in floating point.
    expect(signFlipTest([0.3, 0.1, 0.2, -0.2]).p_value).toBe(signFlipTest([3, 1, 2, -2]).p_value);
  });

  test('loses no tail, in any unit', () => {
    expect(signFlipTest(times(1000, 64))).toEqual({ p_value: 2 ** -999, exact: true });
    const large = signFlipTest([...times(400, 2), ...times(400, 4)]);
    expect(large).toEqual({ p_value: expect.closeTo(2 ** -799, 250), exact: true });
    expect(signFlipTest([...times(400, 2e5), ...times(400, 4e5)])).toEqual(large);
    expect(large.p_value / 2 ** -799).toBeCloseTo(1, 9);
    // Too many for the largest numbers to be kept: 0, not NaN.
    expect(signFlipTest([...times(1000, 1), ...times(1000, 2)]).p_value).toBeLessThan(1e-280);
    expect(signFlipTest(Array.from({ length: 60 }, (_, index) => 1 + index / 7)).p_value).toBe(2 ** -59);
  });
});

describe('over training runs', () => {
  test('the t interval of the runs', () => {
    const { runs, difference, interval } = compareRuns([0.1, 0.2, 0.3]);
    expect([runs, difference]).toEqual([3, expect.closeTo(0.2, 12)]);
    // t with 2 degrees of freedom is 4.3027, the standard error 0.1 / sqrt(3).
    expect(interval?.[0]).toBeCloseTo(0.2 - 0.24841, 5);
    expect(interval?.[1]).toBeCloseTo(0.2 + 0.24841, 5);
  });

  test('nothing of one run, of none, of runs that agree; never more than all', () => {
    expect(compareRuns([0.1])).toEqual({ runs: 1, difference: 0.1, interval: null });
    expect(compareRuns([])).toEqual({ runs: 0, difference: 0, interval: null });
    expect(compareRuns([0.1, 0.1, 0.1]).interval).toBe(null);
    expect(compareRuns([-0.9, 0.9]).interval).toEqual([-1, 1]);
  });

  // Student's table.
  test.each([
    [1, 12.7062],
    [2, 4.3027],
    [10, 2.2281],
    [14_999, 1.9601],
  ])('t of %d degrees of freedom', (degrees, t) => expect(studentQuantile(degrees)).toBeCloseTo(t, 4));
});

describe("Holm's adjustment", () => {
  test('by hand', () => {
    expect(holm([0.01, 0.04, 0.03, 0.005])).toEqual(near([0.03, 0.06, 0.06, 0.02]));
    expect(holm([0.9, 0.8])).toEqual([1, 1]);
    expect(holm([0.3])).toEqual([0.3]);
    expect(holm([])).toEqual([]);
  });

  test('a test that was not made does not count', () => {
    expect(holm([0.02, Number.NaN, 0.01])).toEqual([0.02, Number.NaN, 0.02]);
    expect(holm([Number.NaN])).toEqual([Number.NaN]);
  });
});

describe('pass@k', () => {
  test('by hand', () => {
    expect(passAtK(10, 3, 1)).toBe(0.3);
    expect(passAtK(4, 2, 2)).toBeCloseTo(5 / 6, 15);
    expect(passAtK(5, 0, 5)).toBe(0);
    expect(passAtK(5, 1, 5)).toBe(1);
    expect(passAtK(5, 3, 3)).toBe(1);
  });

  test('neither overflows nor loses what is small', () => {
    expect(passAtK(1e6, 1, 2)).toBeCloseTo(2e-6, 20);
    expect(passAtK(100_000, 50_000, 50_000)).toBeCloseTo(1, 15);
  });

  test.each([
    [5, 6, 1],
    [5, -1, 1],
    [5, 1, 0],
    [5, 1, 6],
    [5, 0.5, 1],
    [0, 0, 1],
  ])('of %d tries, %d passed, at %d is refused', (n, c, k) => {
    expect(() => passAtK(n, c, k)).toThrow(RangeError);
  });
});
