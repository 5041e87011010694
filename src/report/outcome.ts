/** What a comparison shows. */
import { holm, type PairedComparison } from './statistics.ts';

const SIGNIFICANT = 0.05;

interface Adjusted {
  result: Pick<PairedComparison, 'difference' | 'p_value'>;
  adjusted_p: number;
}

/** Adjusts the p-values of comparisons that a reader sees together, in place. */
export function adjust(comparisons: readonly Adjusted[]): void {
  const adjusted = holm(comparisons.map(({ result }) => result.p_value));
  for (const [index, comparison] of comparisons.entries()) comparison.adjusted_p = adjusted[index] as number;
}

export type Outcome = 'gain' | 'loss' | 'no change shown';

/** By the p-value that Holm's method leaves. */
export function outcomeOf({ result, adjusted_p }: Adjusted): Outcome {
  if (adjusted_p >= SIGNIFICANT) return 'no change shown';
  return result.difference > 0 ? 'gain' : 'loss';
}
