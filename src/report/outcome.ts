/** What a comparison shows. */
import type { PairedComparison } from './statistics.ts';

const SIGNIFICANT = 0.05;

interface Adjusted {
  result: Pick<PairedComparison, 'difference'>;
  adjusted_p: number;
}

export type Outcome = 'gain' | 'loss' | 'no change shown';

/** By the p-value that Holm's method leaves. */
export function outcomeOf({ result, adjusted_p }: Adjusted): Outcome {
  if (adjusted_p >= SIGNIFICANT) return 'no change shown';
  return result.difference > 0 ? 'gain' : 'loss';
}
