import { expect, test } from 'vitest';
import type { Config } from '../../src/config/schema.ts';
import { estimatePassRate } from '../../src/stages/failures/pass-rate.ts';

type Failures = Config['failures'];

/** Every way in which drawing can end, with how likely it is when a draw passes with `rate`. */
function* endings(
  rate: number,
  rule: Failures,
  draws = 0,
  passed = 0,
  chance = 1,
): Generator<[number, number, number]> {
  const failed = draws - passed;
  const enough = rule.keep === 'all' ? passed > 0 : failed === rule.failures_per_query;
  if (enough || draws === rule.max_draws) {
    yield [draws, passed, chance];
    return;
  }
  yield* endings(rate, rule, draws + 1, passed + 1, chance * rate);
  yield* endings(rate, rule, draws + 1, passed, chance * (1 - rate));
}

test.each([
  { keep: 'any', failures_per_query: 1 },
  { keep: 'any', failures_per_query: 3 },
  { keep: 'all', failures_per_query: 1 },
] as const)('the mean of the estimate is the pass rate: %j', (part) => {
  for (const max_draws of [1, 2, 7]) {
    for (const rate of [0.05, 0.5, 0.9]) {
      let mean = 0;
      for (const [draws, passed, chance] of endings(rate, { max_draws, ...part })) {
        const kinds = { passed, missed_target: draws - passed };
        mean += chance * (estimatePassRate({ draws, kinds }, { max_draws, ...part }) as number);
      }
      expect(mean).toBeCloseTo(rate, 10);
    }
  }
});

test('without a draw there is none', () => {
  const rule: Failures = { max_draws: 4, failures_per_query: 1, keep: 'any' };
  expect(estimatePassRate({ draws: 0, kinds: {} }, rule)).toBeNull();
});
