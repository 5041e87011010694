import { expect, test } from 'vitest';
import { comparePaired } from '../../src/report/statistics.ts';
import { outcomeOf } from '../../src/report/verdict.ts';

/** So many queries passed only before, and only after. */
const compare = (before: number, after: number) =>
  comparePaired([
    ...Array(before).fill({ before: true, after: false }),
    ...Array(after).fill({ before: false, after: true }),
  ]);

// Exact McNemar: 1 against 7 is 0.0703, 0 against 5 is 0.0625, 0 against 6 is 0.0313, 1 against 8 is 0.0391.
test.each([
  [1, 7, 'no change shown'],
  [7, 1, 'no change shown'],
  [0, 5, 'no change shown'],
  [0, 6, 'gain'],
  [1, 8, 'gain'],
  [8, 1, 'loss'],
  [0, 0, 'no change shown'],
])('%i passed only before, %i only after: %s', (before, after, outcome) => {
  expect(outcomeOf(compare(before, after))).toBe(outcome);
});

test('a p-value of 0.05 shows nothing, one below it does', () => {
  expect(outcomeOf({ ...compare(0, 6), p_value: 0.05 })).toBe('no change shown');
  expect(outcomeOf({ ...compare(0, 6), p_value: 0.0499 })).toBe('gain');
});
