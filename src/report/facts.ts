/** The rows that the renderers share: what is compared, and what is known of the data, the failures and the training. */
import { MAIN_COMPARISON } from './arms.ts';
import { compact, duration, paperNumber, percent, points, pValue, range, share } from './format.ts';
import type { ArmReport, BeforeAfter, DecodingReport, Report } from './report.ts';
import type { PairedComparison } from './statistics.ts';

/** A table: its head, then its rows. */
export type Table = readonly (readonly string[])[];

export function comparisonTable({ comparisons }: DecodingReport): Table {
  return [
    ['', 'n', 'before', 'after', 'points', '95 % interval', 'lost', 'won', 'McNemar p'],
    ...comparisons.map(({ label, result }) => [
      label,
      `${result.n}`,
      side(result, 'before'),
      side(result, 'after'),
      points(result.difference),
      range(result.interval),
      `${result.only_before}`,
      `${result.only_after}`,
      pValue(result.p_value),
    ]),
  ];
}

function side(compared: PairedComparison, which: keyof BeforeAfter<unknown>): string {
  return `${percent(compared[which].rate)} % [${range(compared[which].interval)}]`;
}

function kindTable(kinds: Record<string, BeforeAfter<number>>): Table {
  return [
    ['verdict', 'before', 'after'],
    ...Object.entries(kinds).map(([kind, { before, after }]) => [kind, `${before}`, `${after}`]),
  ];
}

/** Tables of the verdicts of what was compared, each with its title. */
export function kindTables({ comparisons }: DecodingReport): { title: string; table: Table }[] {
  return comparisons.flatMap(({ label, kinds }) =>
    kinds ? [{ title: `${label[0]?.toLowerCase()}${label.slice(1)}`, table: kindTable(kinds) }] : [],
  );
}

/** Lengths on the same failed answers; the last line is on each model's own. */
export function reflectionTable({ arms }: DecodingReport): Table {
  const lengths = (arm: string) => (arms[arm] as ArmReport).reflections;
  const before = lengths(MAIN_COMPARISON.before);
  const after = lengths(MAIN_COMPARISON.after);
  const own = (arm: string) => share((arms[arm] as ArmReport).second_try);
  return [
    ['reflections', 'before', 'after'],
    ['mean length, tokens', before.mean.toFixed(1), after.mean.toFixed(1)],
    ['median length, tokens', `${before.median}`, `${after.median}`],
    ['cut off at the limit', `${percent(before.truncated)} %`, `${percent(after.truncated)} %`],
    ["second try on the model's own failures", own('base'), own('trained')],
  ];
}

export function dataFacts({ data, failures }: Report): Table {
  const kinds = Object.entries(failures.kinds).map(([kind, count]) => `${kind} ${count}`);
  return [
    ['data', ''],
    ['rows read', `${data.read}`],
    ['rows skipped as bad', `${data.skipped}`],
    ['duplicates', `${data.duplicates}`],
    ['queries for training, for test, unused', `${data.train}, ${data.test}, ${data.unused}`],
    ...(failures.queries === 0
      ? []
      : [
          ['queries sampled', `${failures.queries}`],
          ['queries kept as failures', `${failures.kept}`],
          ['draws that failed', share(failures.draws)],
          [
            'pass rate of one draw',
            failures.pass_rate === null ? 'none' : `${percent(failures.pass_rate)} % (unbiased)`,
          ],
          ['verdicts of the draws', kinds.join(', ') || 'none'],
        ]),
  ];
}

export function trainingFacts({ training, reward }: Report): Table {
  if (reward === null) return [['training', 'by another run']];
  const { second_try, max_logprob_difference, self_check } = training;
  return [
    ['training', ''],
    ['reward', reward === 'shuffled' ? 'shuffled (the control)' : 'the verifier'],
    ['steps', `${training.steps.length}${training.resumed > 0 ? `, resumed ${training.resumed} times` : ''}`],
    [
      'second tries of the batches, first and last tenth',
      second_try ? `${percent(second_try.before)} % → ${percent(second_try.after)} %` : 'none',
    ],
    ['KL to the base model at the end', compact(training.kl)],
    [
      'largest log-probability gap of sampler and trainer',
      max_logprob_difference === null ? 'none' : compact(max_logprob_difference),
    ],
    [
      'largest gradient on a reflection token, on any other',
      self_check ? `${compact(self_check.inside)}, ${compact(self_check.outside)}` : 'not checked',
    ],
  ];
}

export function runFacts(report: Report): Table {
  return [
    ['run', ''],
    ['task', report.task],
    ['base model', report.models.base],
    ['trained model', report.models.trained],
    ['seed', `${report.config.seed}`],
    ...Object.entries(report.seconds).map(([stage, seconds]) => [`time, ${stage}`, duration(seconds)]),
    [
      'versions',
      [
        `rrr ${report.rrr}`,
        ...Object.entries(report.versions).map(([name, version]) => `${name} ${version}`),
      ].join(', '),
    ],
  ];
}

export const PAPER_NOTE =
  'Accuracy in % that notes on the paper (arXiv 2505.24726) give, its second try being the first or second try above; recalled ones are from memory, unverified. Not a target: other models, data and prompts.';

export function paperTable({ paper }: Report): Table {
  return [
    ['the paper', 'first try before', 'first try after', 'second try before', 'second try after'],
    ...paper.map(({ model, first_try, second_try }) => [
      model,
      ...[first_try.before, first_try.after, second_try.before, second_try.after].map(paperNumber),
    ]),
  ];
}
