/** Two arms, query by query. */
import type { Attempt } from '../protocol/methods.ts';
import type { Comparison } from './arms.ts';
import { among, type Case, PASSED, triedFor } from './cases.ts';
import type { BeforeAfter, ComparisonReport } from './report.ts';
import { compareTries, type PairedTry } from './statistics/tries.ts';

export function compare(comparison: Comparison, cases: readonly Case[]): ComparisonReport {
  const { before, after, outcome } = comparison;
  const counted = among(comparison, cases);
  const tried = (arm: string) => counted.map(({ episodes }) => triedFor(outcome, episodes[arm]));
  const result = compareTries(triesOf(comparison, cases));
  return {
    ...comparison,
    result,
    adjusted_p: result.p_value,
    kinds: outcome === 'any' ? null : countKinds({ before: tried(before), after: tried(after) }),
  };
}

export function triesOf(comparison: Comparison, cases: readonly Case[]): PairedTry[] {
  const passed = PASSED[comparison.outcome];
  return among(comparison, cases).map(({ id, episodes }) => ({
    query: id,
    before: passed(episodes[comparison.before]),
    after: passed(episodes[comparison.after]),
  }));
}

/** How often each verdict was given; the kinds in the order of how often the first arm shows them. */
function countKinds(
  attempts: BeforeAfter<readonly (Attempt | undefined)[]>,
): Record<string, BeforeAfter<number>> {
  const counts: Record<string, BeforeAfter<number>> = {};
  for (const side of ['before', 'after'] as const) {
    for (const attempt of attempts[side]) {
      if (!attempt) continue;
      const { kind } = attempt.verdict;
      counts[kind] ??= { before: 0, after: 0 };
      counts[kind][side] += 1;
    }
  }
  return Object.fromEntries(Object.entries(counts).sort(([, a], [, b]) => b.before - a.before));
}
