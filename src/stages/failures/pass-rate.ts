/** What the draws of a query say about its pass rate, given that they stop when there are enough of them. */
import type { Config } from '../../config/schema.ts';
import type { FailuresResult } from '../../protocol/methods.ts';

/**
 * An estimate, from 0 to 1, of the chance that one draw passes; null without a draw. The share of the draws that passed
 * would be too high or too low, because drawing stops at what it looks for. This one is unbiased: of all orders of
 * verdicts in which drawing would have ended like this, the share that begin with a pass (Girshick, Mosteller and
 * Savage 1946, "Unbiased estimates for certain binomial sampling problems"). It is rough for one query; its mean over
 * many is not.
 */
export function estimatePassRate(
  { draws, kinds }: Pick<FailuresResult, 'draws' | 'kinds'>,
  { failures_per_query, keep }: Config['failures'],
): number | null {
  if (draws === 0) return null;
  const passed = kinds.passed ?? 0;
  if (draws === 1) return passed;
  // A first pass that came late: every order began with failures.
  if (keep === 'all') return 0;
  // The last draw was the failure that was looked for: the others may have come in any order.
  return draws - passed === failures_per_query ? passed / (draws - 1) : passed / draws;
}
