import { describe, expect, test } from 'vitest';
import { powerRows, powerTable } from '../../src/report/power.ts';
import { powerOf, queriesNeeded, smallestDifference } from '../../src/report/statistics/mcnemar-power.ts';

describe('power of the exact McNemar test', () => {
  // O'Brien's example as G*Power 3 has it: 50 pairs, 8 against 32 %, one side at 5 % is 0.839343. The other side adds a little.
  test('published example', () => {
    const power = powerOf(50, 0.4, 0.24, 0.1);
    expect(power).toBeGreaterThan(0.839343);
    expect(power).toBeLessThan(0.8394);
  });

  test('counted by hand: of six queries, all won, p is 2 / 64', () => {
    expect(powerOf(6, 1, 1)).toBe(1);
    expect(powerOf(5, 1, 1)).toBe(0);
    expect(powerOf(6, 0.5, 0.5)).toBeCloseTo(0.5 ** 6, 12);
    expect(powerOf(6, 1, 0.5)).toBeCloseTo(0.75 ** 6 + 0.25 ** 6, 12);
    // A p-value that is alpha counts.
    expect(powerOf(5, 1, 1, 2 / 32)).toBe(1);
  });

  test('is the size of the test without a difference, and mirrors a loss', () => {
    expect(powerOf(400, 0.3, 0)).toBeGreaterThan(0.03);
    expect(powerOf(400, 0.3, 0)).toBeLessThanOrEqual(0.05);
    expect(powerOf(400, 0.3, -0.1)).toBe(powerOf(400, 0.3, 0.1));
    expect(powerOf(0, 0.3, 0.1)).toBe(0);
    expect(powerOf(100, 0, 0)).toBe(0);
  });

  test('refuses what cannot be', () => {
    expect(() => powerOf(10, 0.1, 0.2)).toThrow(RangeError);
    expect(() => powerOf(10, 1.1, 0.2)).toThrow(RangeError);
    expect(() => powerOf(10, 0.5, 0.2, 0)).toThrow(RangeError);
    expect(() => queriesNeeded({ discordant: 0.5, difference: 0.1, power: 1 })).toThrow(RangeError);
  });
});

describe('queries needed', () => {
  test.each([
    [1, 0.1],
    [1, 0.4],
    [0.9, 0.2],
    [0.3, 0.3],
    [0.3, 0.1],
    [0.05, 0.02],
  ])(
    '%d discordant, %d to find: no larger number falls short, the next smaller does',
    (discordant, difference) => {
      const needed = queriesNeeded({ discordant, difference });
      expect(powerOf(needed - 1, discordant, difference)).toBeLessThan(0.8);
      for (let n = needed; n < needed + 400; n++) {
        expect(powerOf(n, discordant, difference)).toBeGreaterThanOrEqual(0.8);
      }
    },
  );

  test('grow with what is asked, and are near the formula where they are many', () => {
    const small = { discordant: 0.2, difference: 0.01 };
    const needed = queriesNeeded(small);
    // Connor, 1987: (1.96 sqrt(0.2) + 0.8416 sqrt(0.2 - 0.0001))^2 / 0.0001 = 15,695
    expect(needed).toBeGreaterThan(15_695);
    expect(needed).toBeLessThan(15_695 * 1.02);
    expect(queriesNeeded({ ...small, power: 0.9 })).toBeGreaterThan(needed);
    expect(queriesNeeded({ ...small, alpha: 0.01 })).toBeGreaterThan(needed);
    expect(queriesNeeded({ ...small, power: 0.02 })).toBeLessThan(needed);
    expect(queriesNeeded({ discordant: 0.2, difference: -0.01 })).toBe(needed);
    expect(queriesNeeded({ discordant: 0.2, difference: 0 })).toBe(Number.POSITIVE_INFINITY);
    // Beyond what is summed, the formula: 100 times the queries for a tenth of the difference.
    expect(queriesNeeded({ discordant: 0.2, difference: 0.001 }) / 100 / 15_695).toBeCloseTo(1, 2);
  });
});

test('the smallest difference is just found', () => {
  const smallest = smallestDifference(500, () => 0.2, { largest: 0.2 }) as number;
  expect(powerOf(500, 0.2, smallest)).toBeGreaterThanOrEqual(0.8);
  expect(powerOf(500, 0.2, smallest - 2e-5)).toBeLessThan(0.8);
  expect(smallestDifference(5, (difference) => difference, { largest: 1 })).toBe(null);
});

describe('the table of a run', () => {
  test('at the discordance seen', () => {
    const table = powerTable({ n: 1487, before: 0.234, discordant: 0.2 });
    expect(table.gains.map(({ gain, discordant, queries }) => [gain, discordant, queries])).toEqual([
      [0.01, 0.2, queriesNeeded({ discordant: 0.2, difference: 0.01 })],
      [0.02, 0.2, queriesNeeded({ discordant: 0.2, difference: 0.02 })],
      [0.05, 0.2, queriesNeeded({ discordant: 0.2, difference: 0.05 })],
      [0.1, 0.2, queriesNeeded({ discordant: 0.2, difference: 0.1 })],
    ]);
    expect(powerRows(table)).toEqual([
      ['gain', 'discordant', 'queries for 80 % power'],
      ['+1.0 points', '20.0 %', '15889'],
      ['+2.0 points', '20.0 %', '4016'],
      ['+5.0 points', '20.0 %', '658'],
      ['+10.0 points', '20.0 %', '168'],
      ['+3.3 points', '20.0 %', '1487, as here'],
    ]);
  });

  test('a gain larger than the discordance seen', () => {
    const [one, , five] = powerTable({ n: 100, before: 0.5, discordant: 0.02 }).gains;
    expect(one?.discordant).toBe(0.02);
    expect(five?.discordant).toBe(0.05);
  });

  test('at worst all change that can', () => {
    const at = (before: number) => powerTable({ n: 100, before }).gains.map(({ discordant }) => discordant);
    expect(at(0)).toEqual([0.01, 0.02, 0.05, 0.1]);
    expect(at(0.2)).toEqual([0.41, 0.42, 0.45, 0.5].map((share) => expect.closeTo(share, 12)));
    expect(at(0.9)).toEqual([0.19, 0.18, 0.15, 0.1].map((share) => expect.closeTo(share, 12)));
    // More than can change was seen: of other queries, or rounded.
    expect(powerTable({ n: 100, before: 0.9, discordant: 0.5 }).gains.at(-1)?.discordant).toBe(0.1);
  });

  test('only gains that there is room for, and none that too few queries find', () => {
    expect(powerTable({ n: 100, before: 0.97 }).gains).toHaveLength(2);
    for (const run of [
      { n: 0, before: 0 },
      { n: 5, before: 0.2 },
      { n: 100, before: 1 },
      { n: 100, before: 0.99 },
    ]) {
      const table = powerTable(run);
      expect(table.smallest).toBe(null);
      expect(powerRows(table).at(-1)).toEqual(['none', '', `${run.n}, as here`]);
    }
  });
});
