/** Tries under two conditions, by query. */
import { comparePaired, type PairedComparison } from '../statistics.ts';
import { compareClustered } from './clustered.ts';

export interface PairedTry {
  /** Its query. */
  query: string;
  before: boolean;
  after: boolean;
}

/**
 * With one try a query the exact paired comparison. With several, tries of one query are no new evidence about others: rates
 * are means over the queries, intervals and p-value are clustered by query; the counts are still of tries.
 */
export function compareTries(tries: readonly PairedTry[]): PairedComparison {
  const paired = comparePaired(tries);
  const byQuery = new Map<string, { before: number[]; after: number[] }>();
  for (const { query, before, after } of tries) {
    const sides = byQuery.get(query) ?? { before: [], after: [] };
    sides.before.push(Number(before));
    sides.after.push(Number(after));
    byQuery.set(query, sides);
  }
  if (byQuery.size === tries.length) return paired;
  const { queries, before, after, difference, interval, p_value } = compareClustered([...byQuery.values()]);
  const rateOf = ({ rate, interval }: typeof before) => ({ rate, interval });
  return {
    ...paired,
    queries,
    before: { ...paired.before, ...rateOf(before) },
    after: { ...paired.after, ...rateOf(after) },
    difference,
    interval,
    p_value,
  };
}
