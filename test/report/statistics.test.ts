import { describe, expect, test } from 'vitest';
import {
  comparePaired,
  mcnemarExact,
  mean,
  median,
  pairedInterval,
  proportion,
  wilsonInterval,
} from '../../src/report/statistics.ts';

describe('Wilson interval', () => {
  // Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3.
  test.each([
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
  ])('%i of %i', (k, n, low, high) => {
    expect(wilsonInterval(k, n)[0]).toBeCloseTo(low, 4);
    expect(wilsonInterval(k, n)[1]).toBeCloseTo(high, 4);
  });

  test('of all is open to 1, of nothing says nothing', () => {
    expect(wilsonInterval(20, 20)).toEqual(
      [1 - wilsonInterval(0, 20)[1], 1].map((x) => expect.closeTo(x, 12)),
    );
    expect(wilsonInterval(0, 0)).toEqual([0, 1]);
  });
});

describe('exact McNemar test', () => {
  // Fagerland, Lydersen & Laake, BMC Medical Research Methodology 13:91 (2013), airway hyper-responsiveness: 7 against 1.
  test('published example', () => expect(mcnemarExact(7, 1)).toBeCloseTo(0.0703, 4));

  test('every small table agrees with counting all coin flips', () => {
    for (let n = 0; n <= 12; n++) {
      for (let b = 0; b <= n; b++) {
        const extreme = Math.max(b, n - b);
        let count = 0;
        for (let flips = 0; flips < 2 ** n; flips++) {
          const heads = flips.toString(2).replaceAll('0', '').length;
          if (Math.max(heads, n - heads) >= extreme) count++;
        }
        expect(mcnemarExact(b, n - b)).toBeCloseTo(count / 2 ** n, 12);
      }
    }
  });

  test('is symmetric, and neither overflows nor loses tiny tails', () => {
    expect(mcnemarExact(40, 90)).toBe(mcnemarExact(90, 40));
    expect(mcnemarExact(0, 1000)).toBeCloseTo(2 ** -999, 310);
    expect(mcnemarExact(0, 1000)).toBeGreaterThan(0);
    expect(mcnemarExact(5000, 5000)).toBe(1);
    expect(mcnemarExact(7400, 7600)).toBeCloseTo(0.1042, 3);
  });
});

describe('interval of a paired difference', () => {
  // Same example as above, Newcombe's square-and-add: before - after is -0.286 (-0.507 to -0.026).
  test('published example', () => {
    const [low, high] = pairedInterval(1, 7, 1, 12);
    expect(low).toBeCloseTo(-0.507, 3);
    expect(high).toBeCloseTo(-0.026, 3);
  });

  test('covers the true difference about 95 times in 100', () => {
    let state = 12345;
    const uniform = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 32;
    };
    let covered = 0;
    for (let run = 0; run < 2000; run++) {
      const cells: [number, number, number, number] = [0, 0, 0, 0];
      for (let i = 0; i < 200; i++) {
        const draw = uniform();
        cells[draw < 0.1 ? 0 : draw < 0.18 ? 1 : draw < 0.36 ? 2 : 3]++;
      }
      const [low, high] = pairedInterval(...cells);
      if (low <= 0.1 && 0.1 <= high) covered++;
    }
    expect(covered / 2000).toBeGreaterThan(0.935);
    expect(covered / 2000).toBeLessThan(0.97);
  });

  test('mirrors when before and after, or passed and failed, change places', () => {
    for (const [both, before, after, neither] of [
      [1, 7, 1, 12],
      [30, 5, 12, 53],
      [2, 9, 3, 1],
    ] as const) {
      const [low, high] = pairedInterval(both, before, after, neither);
      const mirrored = [-high, -low].map((end) => expect.closeTo(end, 12));
      expect(pairedInterval(both, after, before, neither)).toEqual(mirrored);
      expect(pairedInterval(neither, before, after, both)).toEqual(
        [low, high].map((end) => expect.closeTo(end, 12)),
      );
    }
  });

  test('never leaves [-1, 1]', () => {
    expect(pairedInterval(0, 0, 20, 0)[1]).toBe(1);
    expect(pairedInterval(0, 20, 0, 0)[0]).toBe(-1);
    expect(pairedInterval(0, 0, 0, 0)).toEqual([-1, 1]);
  });
});

test('a comparison counts all four outcomes', () => {
  const pair = (before: boolean, after: boolean, times: number) => Array(times).fill({ before, after });
  const compared = comparePaired([
    ...pair(true, true, 3),
    ...pair(true, false, 1),
    ...pair(false, true, 5),
    ...pair(false, false, 7),
  ]);
  expect(compared).toMatchObject({
    n: 16,
    both: 3,
    only_before: 1,
    only_after: 5,
    neither: 7,
    difference: 0.25,
  });
  expect(compared.before).toMatchObject({ k: 4, n: 16 });
  expect(compared.after).toMatchObject({ k: 8, n: 16 });
  expect(compared.p_value).toBe(mcnemarExact(1, 5));
});

test('a comparison of nothing says nothing', () => {
  expect(comparePaired([])).toMatchObject({ n: 0, difference: 0, interval: [-1, 1], p_value: 1 });
  expect(proportion(0, 0)).toEqual({ k: 0, n: 0, rate: 0, interval: [0, 1] });
  expect(mean([])).toBe(0);
});

test.each([
  [[], 0],
  [[7], 7],
  [[9, 10], 9.5],
  [[10, 9, 100], 10],
  [[100, 2, 9, 20], 14.5],
])('the median of %j is %d', (values, expected) => {
  const given = [...values];
  expect(median(given)).toBe(expected);
  expect(given).toEqual(values);
});
