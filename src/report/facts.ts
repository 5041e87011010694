/** The rows that the renderers share: what is compared, and what is known of the data, the failures and the training. */
import { BASE, SECOND_TRY, TRAINED } from './arms.ts';
import { describeForgetting, forgettingTable } from './forgetting.ts';
import {
  changeCells,
  compact,
  duration,
  lowerFirst,
  paperNumber,
  percent,
  pValue,
  range,
  share,
} from './format.ts';
import type { ArmReport, BeforeAfter, ComparisonReport, DecodingReport, Report } from './report.ts';
import type { PairedComparison, Share } from './statistics.ts';
import type { Table, TitledTable } from './table.ts';

const COMPARISON_HEAD = ['points', '95 % interval', 'lost', 'won', 'p', 'Holm p'];

export function comparisonTable(
  comparisons: readonly ComparisonReport[],
  [before, after] = ['before', 'after'],
): Table {
  return [
    ['', 'n', `${before}`, `${after}`, ...COMPARISON_HEAD],
    ...comparisons.map((comparison) => [
      comparison.label,
      `${comparison.result.n}`,
      side(comparison.result, 'before'),
      side(comparison.result, 'after'),
      ...change(comparison),
    ]),
  ];
}

function side(compared: PairedComparison, which: keyof BeforeAfter<unknown>): string {
  return `${percent(compared[which].rate)} % [${range(compared[which].interval)}]`;
}

function change({ result, adjusted_p }: ComparisonReport): string[] {
  return [...changeCells(result), pValue(result.p_value), pValue(adjusted_p)];
}

/** What a decoding has beyond the main comparisons; tables that would be empty are left out. */
export function furtherTables(report: DecodingReport): TitledTable[] {
  const { controls, baselines, arms, samples } = report;
  const rounds = arms[BASE]?.rounds.length ?? 0;
  return [
    ...(controls.length > 0 ? controlTables(report) : []),
    ...(baselines.length > 0
      ? [
          {
            title: 'Baselines and the trained model',
            table: comparisonTable(baselines, ['baseline', 'trained']),
          },
        ]
      : []),
    {
      title: 'From the first answer to the last',
      table: transitionTable(report),
      note: 'Where only failures are retried, no right answer can be lost: eval.retry: all retries every one.',
    },
    ...(rounds > 2 ? [{ title: 'Passed after so many rounds', table: roundTable(report) }] : []),
    ...(samples > 1 ? [{ title: 'At least one of k first tries passes', table: passTable(report) }] : []),
  ];
}

export function controlTables(report: DecodingReport): TitledTable[] {
  const main = report.comparisons.find(({ name }) => name === SECOND_TRY.name) as ComparisonReport;
  const gains = [{ ...main, label: 'Own reflections' }, ...report.controls.map(({ gain }) => gain)];
  const [head = [], ...rows] = comparisonTable(gains);
  const spent = gains.map(({ after }) => (report.arms[after] as ArmReport).spent);
  return [
    {
      title: "Controls: retries on the base model's failures, before and after training",
      table: [
        [...head, 'tokens', 'prompt tokens'],
        ...rows.map((row, index) => [
          ...row,
          `${spent[index]?.completion.toFixed(1)}`,
          spent[index]?.prompt?.toFixed(1) ?? 'not told',
        ]),
      ],
      note: 'Tokens a failure after training: written after the failed answer, and read as prompts. One more sample is drawn at the temperature of the sampling section, under greedy decoding too.',
    },
    {
      title: "What the trained model's own reflections have over each control",
      table: comparisonTable(
        report.controls.map(({ own }) => own),
        ['control', 'own'],
      ),
    },
  ];
}

/** Of the arms that make a first try. */
function ownTries({ arms }: DecodingReport): [name: string, arm: ArmReport][] {
  return Object.entries(arms).filter(([, { transitions }]) => transitions !== null);
}

const MODEL_LABELS: Record<string, string> = { [BASE]: 'before training', [TRAINED]: 'after training' };
const modelLabel = (name: string) => MODEL_LABELS[name] ?? name;

function transitionTable(report: DecodingReport): Table {
  return [
    ['', 'right → right', 'right → wrong', 'wrong → right', 'wrong → wrong'],
    ...ownTries(report).map(([name, { transitions }]) => [
      modelLabel(name),
      ...(['right_right', 'right_wrong', 'wrong_right', 'wrong_wrong'] as const).map(
        (key) => `${transitions?.[key]}`,
      ),
    ]),
  ];
}

function roundTable(report: DecodingReport): Table {
  const tries = ownTries(report);
  const rounds = tries[0]?.[1].rounds ?? [];
  return [
    [
      'rounds',
      ...tries.map(([name]) => modelLabel(name)),
      ...ungatedOf(tries).map(([name]) => `${modelLabel(name)}, every answer retried`),
    ],
    ...rounds.map((_, round) => [
      `${round}`,
      ...tries.map(([, arm]) => share(arm.rounds[round]?.gated as Share)),
      ...ungatedOf(tries).map(([, arm]) => share(arm.rounds[round]?.ungated as Share)),
    ]),
  ];
}

const ungatedOf = (tries: [string, ArmReport][]) => tries.filter(([, { rounds }]) => rounds[0]?.ungated);

function passTable(report: DecodingReport): Table {
  const tries = ownTries(report);
  return [
    ['k', ...tries.map(([name]) => modelLabel(name))],
    ...(tries[0]?.[1].pass_at ?? []).map(({ k }, index) => [
      `${k}`,
      ...tries.map(([, { pass_at }]) => {
        const { rate = 0, interval = [0, 1] } = pass_at[index] ?? {};
        return `${percent(rate)} % [${range(interval)}]`;
      }),
    ]),
  ];
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
    kinds ? [{ title: lowerFirst(label), table: kindTable(kinds) }] : [],
  );
}

/** Lengths on the same failed answers; the last line is on each model's own. */
export function reflectionTable({ arms }: DecodingReport): Table {
  const lengths = (arm: string) => (arms[arm] as ArmReport).reflections;
  const before = lengths(SECOND_TRY.before);
  const after = lengths(SECOND_TRY.after);
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
    ...Object.entries(report.hub).map(([name, commit]) => [`hub, ${name}`, commit]),
  ];
}

/** Empty where the benchmarks weren't run. */
export function forgettingTables({ forgetting }: Report): TitledTable[] {
  if (forgetting.length === 0) return [];
  return [
    {
      title: 'Forgetting: general benchmarks, item by item',
      table: forgettingTable(forgetting),
      note: describeForgetting(forgetting).join(' '),
    },
  ];
}

export const STATISTICS_NOTE =
  'Same queries before and after. Every interval is over the queries of these two models, not over training runs. One share: Wilson (1927); a paired difference: Newcombe (1998), method 10; p: exact McNemar test, two-sided; where a query has several tries, all by query. Holm p: adjusted (Holm 1979) for all comparisons in this report. Lost and won: passed only before, only after.';

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
