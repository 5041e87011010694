/** What a report's numbers say, in sentences a person can hold it to: losses as loudly as gains. */
import type { Comparison, Control } from './arms.ts';
import { lowerFirst, percent, points, pValue, range, upperFirst } from './format.ts';
import { outcomeOf } from './outcome.ts';
import type {
  ComparisonReport,
  ControlReport,
  Decoding,
  DecodingReport,
  EvaluationProgress,
  Report,
} from './report.ts';
import type { PairedComparison } from './statistics.ts';

/** One sentence for every measure under every decoding, then what the controls leave, and what none of it says. */
export function judge(decodings: readonly DecodingReport[], reward: Report['reward']): string[] {
  return [
    ...decodings.flatMap(({ decoding, comparisons }) => comparisons.map((each) => say(decoding, each))),
    ...decodings.flatMap(sayControls),
    ...sayWhatIsMissing(decodings),
    sayReward(decodings, reward),
    'The intervals and p-values are over the queries of these two models: how another training run would turn out they do not say (rrr compare RUN RUN joins several).',
  ];
}

/** Of sampled decoding, where that was evaluated. */
export function sayHeadline(decodings: readonly DecodingReport[]): string {
  const report = decodings.find(({ decoding }) => decoding === 'sampled') ?? decodings[0];
  if (!report) return 'Nothing was evaluated.';
  if (report.comparisons[0]?.result.n === 0) return 'Nothing can be compared yet.';
  const main = mainComparison(report);
  if (main.result.n === 0) return 'There is no failure to reflect on.';
  const outcome = outcomeOf(main);
  const size = percent(Math.abs(main.result.difference));
  const said = outcome === 'no change shown' ? 'No change is shown.' : `A ${outcome} of ${size} points.`;
  return `${upperFirst(sayPlainly(main))}. ${said}`;
}

function sayPlainly({ outcome, result: { before, after } }: ComparisonReport): string {
  const inHundred = (rate: number) => `${Math.round(100 * rate)}`;
  return PLAIN[outcome](inHundred(after.rate), inHundred(before.rate));
}

export function sayProgress({ decoding, done, total, arms }: EvaluationProgress): string {
  const each = Object.entries(arms).map(([label, n]) => `${n} ${label}`);
  return `Not finished, ${decoding} decoding: ${done} of ${total} queries so far have all their answers (first tries: ${each.join(', ')}). What is told here is of those alone and may still change.`;
}

/** The second tries on the base model's failures. */
export function mainResult(report: DecodingReport): PairedComparison {
  return mainComparison(report).result;
}

function mainComparison({ comparisons }: DecodingReport): ComparisonReport {
  const found = comparisons.find(({ name }) => name === 'second_try');
  if (!found) throw new Error('the report has no comparison second_try');
  return found;
}

const DECODING_NAMES: Record<Decoding, string> = { sampled: 'Sampled decoding', greedy: 'Greedy decoding' };

/** In plain words, of 100 answers; `now` after training, `then` before. */
const PLAIN: Record<Comparison['outcome'], (now: string, then: string) => string> = {
  first: (now, then) => `its first answer is right ${now} times in 100; before, ${then}`,
  retry: (now, then) => `when wrong, it now fixes ${now} of 100 answers after reflecting; before, ${then}`,
  any: (now, then) =>
    `with a second try where the first failed it is right ${now} times in 100; before, ${then}`,
  last: (now, then) =>
    `reflecting on every answer, right or wrong, it ends right ${now} times in 100; before, ${then}`,
};

function say(decoding: Decoding, comparison: ComparisonReport): string {
  const { label, result } = comparison;
  const start = `${DECODING_NAMES[decoding]}, ${lowerFirst(label)}:`;
  if (result.n === 0)
    return comparison.among === 'all'
      ? `${start} nothing to compare yet.`
      : `${start} the base model failed nothing, so there is nothing to compare.`;
  return `${start} ${sayPlainly(comparison)}. ${sayChange(comparison)}`;
}

/** "A loss of 3.4 points (27.2 % to 23.8 %; 95 % interval −4.5 to −2.3, p = 6.0e-9, n = 1487)." */
function sayChange(comparison: ComparisonReport): string {
  const { before, after, difference, n, queries } = comparison.result;
  const outcome = outcomeOf(comparison);
  const size = `${percent(Math.abs(difference))} points`;
  const said =
    outcome === 'no change shown'
      ? `No change shown: ${points(difference)} points`
      : `A ${outcome} of ${size}`;
  const over = queries === n ? `n = ${n}` : `${n} tries of ${queries} queries`;
  return `${said} (${percent(before.rate)} % to ${percent(after.rate)} %; ${sayStatistics(comparison)}, ${over}).`;
}

function sayStatistics({ result, adjusted_p }: ComparisonReport): string {
  return `95 % interval ${range(result.interval)}, Holm p = ${pValue(adjusted_p)}`;
}

/** Controls whose reflection or retry is the other model's: they tell which of the two improved. */
const MIXED: readonly Control[] = ['base_reflection', 'trained_reflection'];
/** Controls that ask the question again: the verifier picks among their answers. */
const SAMPLING: readonly Control[] = ['best_of_two', 'equal_tokens'];

function sayControls(report: DecodingReport): string[] {
  const { decoding, controls } = report;
  const { n, after, difference } = mainResult(report);
  const gained = outcomeOf(mainComparison(report)) === 'gain';
  if (controls.length === 0 || n === 0) return [];
  const start = `${DECODING_NAMES[decoding]}, on the same failures`;
  const own = `its own reflections fix ${percent(after.rate)} %`;
  const among = (names: readonly Control[]) => controls.filter(({ control }) => names.includes(control));
  const mixed = among(MIXED);
  const sampling = among(SAMPLING);
  const retries = controls.filter((control) => !mixed.includes(control) && !sampling.includes(control));
  const said: string[] = [];
  if (retries.length > 0)
    said.push(
      `${start}, after training: ${own}; ${list(retries)}. ${sayBest(bestOf(retries), gained ? RETRIES : undefined)}`,
    );
  if (sampling.length > 0)
    said.push(
      `${start}, asked again: ${own}; ${list(sampling)}. ${sayBest(bestOf(sampling), gained ? SAMPLES : undefined)}`,
    );
  if (mixed.length > 0) {
    const parts = mixed.map(({ label, gain }) => `${lowerFirst(label)}: ${points(gain.result.difference)}`);
    said.push(`${start}, who improved: of the change of ${points(difference)} points, ${parts.join('; ')}.`);
  }
  return said;
}

const list = (controls: readonly ControlReport[]) =>
  controls.map(({ label, gain }) => `${lowerFirst(label)}: ${percent(gain.result.after.rate)} %`).join('; ');

/** After training. */
function bestOf(controls: readonly ControlReport[]): ControlReport {
  return controls.reduce((one, other) =>
    other.gain.result.after.rate > one.gain.result.after.rate ? other : one,
  );
}

/** What it means that a control does better than the model's own reflections, or as well as far as is shown. */
const RETRIES = {
  worse: 'what was gained is not reflecting',
  same: 'the gain needs no reflection of its own',
};
const SAMPLES = {
  worse: 'where a verifier picks, sampling again does better',
  same: 'where a verifier picks, sampling again may do as well',
};
/** `meaning`: where there is a gain that the control might explain. */
function sayBest({ label, own }: ControlReport, meaning: typeof RETRIES | undefined): string {
  const outcome = outcomeOf(own);
  const over = `${lowerFirst(label)}: ${points(own.result.difference)} points, ${sayStatistics(own)}`;
  const end = (means: string | undefined) => (means === undefined ? '.' : `: ${means}.`);
  if (outcome === 'gain') return `Its own reflections are better than the best of these, ${over}.`;
  return outcome === 'loss'
    ? `Its own reflections are worse than the best of these, ${over}${end(meaning?.worse)}`
    : `Its own reflections are not shown to be better than the best of these, ${over}${end(meaning?.same)}`;
}

function sayWhatIsMissing(decodings: readonly DecodingReport[]): string[] {
  const said: string[] = [];
  if (!decodings.some(({ decoding }) => decoding === 'greedy'))
    said.push(
      'Greedy decoding was not evaluated, so a gain may be sharpening: eval.modes: [sampled, greedy].',
    );
  if (decodings.every(({ controls }) => controls.length === 0))
    said.push(
      'No control was run: a bare retry, or a reflection that is not its own, may do as well. eval.controls: [bare_retry, hint, donor] tells.',
    );
  return said;
}

function sayReward(decodings: readonly DecodingReport[], reward: Report['reward']): string {
  if (reward === null) return 'The trained model comes from another run, which tells how it was trained.';
  if (reward === 'verifier') {
    return "The reward was the verifier's. The control to hold it against is the same run with train.reward: shuffled.";
  }
  const measures = decodings.flatMap(({ decoding, comparisons }) =>
    comparisons.map((comparison) => ({ decoding, comparison })),
  );
  const moved = measures.filter(({ comparison }) => outcomeOf(comparison) !== 'no change shown');
  const start = 'This is the control, trained on a shuffled reward, which teaches nothing:';
  if (moved.length === 0) return `${start} none of its ${measures.length} measures is shown to have moved.`;
  const said = moved.map(
    ({ decoding, comparison: { label, result } }) =>
      `${lowerFirst(label)}, ${decoding}, by ${points(result.difference)}`,
  );
  return `${start} and yet ${moved.length} of its ${measures.length} measures moved (points: ${said.join('; ')}). Training alone moves answers by so much: hold every gain against that, not against zero.`;
}
