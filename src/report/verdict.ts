/** What a report's numbers say, in sentences a person can hold it to. */
import { MAIN_COMPARISON } from './arms.ts';
import { percent, points, pValue, range } from './format.ts';
import type { DecodingReport, Report } from './report.ts';
import type { PairedComparison } from './statistics.ts';

const SIGNIFICANT = 0.05;

export function judge(decodings: readonly DecodingReport[], reward: Report['reward']): string[] {
  const find = (decoding: DecodingReport['decoding']) => {
    const found = decodings.find((report) => report.decoding === decoding);
    return found && mainResult(found);
  };
  const sampled = find('sampled');
  const greedy = find('greedy');
  return [
    ...(sampled ? [`Sampled decoding: ${describe(sampled)}`] : []),
    ...(greedy ? [`Greedy decoding: ${describe(greedy)}${holds(sampled, greedy)}`] : []),
    ...(greedy
      ? []
      : ['Greedy decoding was not evaluated, so a gain may be sharpening: eval.modes: [sampled, greedy].']),
    judgeControl(decodings.map(mainResult), reward),
  ];
}

/** The second tries on the base model's failures. */
export function mainResult({ comparisons }: DecodingReport): PairedComparison {
  const found = comparisons.find(({ name }) => name === MAIN_COMPARISON.name);
  if (!found) throw new Error(`the report has no comparison ${MAIN_COMPARISON.name}`);
  return found.result;
}

export type Outcome = 'gain' | 'loss' | 'no change shown';

export function outcomeOf({ difference, p_value }: PairedComparison): Outcome {
  if (p_value >= SIGNIFICANT) return 'no change shown';
  return difference > 0 ? 'gain' : 'loss';
}

function describe(second: PairedComparison): string {
  if (second.n === 0) return 'the base model failed nothing, so there is no second try to compare.';
  const { before, after, interval, difference, p_value, n } = second;
  return (
    `second tries on the base model's ${n} failures pass ${percent(before.rate)} % before and ${percent(after.rate)} % after training ` +
    `(${points(difference)} points, 95 % interval ${range(interval)}, exact McNemar p = ${pValue(p_value)}): ${outcomeOf(second)}.`
  );
}

function holds(sampled: PairedComparison | undefined, greedy: PairedComparison): string {
  if (!sampled || outcomeOf(sampled) !== 'gain') return '';
  return outcomeOf(greedy) === 'gain'
    ? ' The gain holds under greedy decoding.'
    : ' The gain of sampling does not hold under greedy decoding: it may be sharpening.';
}

function judgeControl(results: readonly PairedComparison[], reward: Report['reward']): string {
  if (reward === null) return 'The trained model comes from another run, which tells how it was trained.';
  if (reward === 'verifier') {
    return "The reward was the verifier's. The control to hold it against is the same run with train.reward: shuffled.";
  }
  const gained = results.some((result) => outcomeOf(result) === 'gain');
  return gained
    ? 'This is the control, trained on a shuffled reward, and yet it gained: distrust every gain measured this way.'
    : 'This is the control, trained on a shuffled reward: it should not gain, and it did not.';
}
