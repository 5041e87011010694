/** The rows that the renderers share on what is compared under one decoding. */
import { BASE, modelLabel, SECOND_TRY } from '../arms.ts';
import { changeCells, percent, pValue, range, share } from '../format.ts';
import type { ArmReport, BeforeAfter, ComparisonReport, DecodingReport } from '../report.ts';
import { CHANGES } from '../samples/criteria.ts';
import type { PairedComparison, Share } from '../statistics.ts';
import type { Table, TitledTable } from '../table.ts';

/** What a reader looks for first comes first: a phone shows no more. */
export function comparisonTable(
  comparisons: readonly ComparisonReport[],
  [before, after] = ['before', 'after'],
): Table {
  return [
    ['', `${before}`, `${after}`, 'points', '95 % interval', 'lost', 'won', 'n', 'p', 'Holm p'],
    ...comparisons.map(({ label, result, adjusted_p }) => [
      label,
      side(result, 'before'),
      side(result, 'after'),
      ...changeCells(result),
      `${result.n}`,
      pValue(result.p_value),
      pValue(adjusted_p),
    ]),
  ];
}

function side(compared: PairedComparison, which: keyof BeforeAfter<unknown>): string {
  return `${percent(compared[which].rate)} % [${range(compared[which].interval)}]`;
}

/** What a decoding has beyond the main comparisons; tables that would be empty are left out. */
export function furtherTables(report: DecodingReport): TitledTable[] {
  const { controls, baselines, arms, samples } = report;
  const rounds = arms[BASE]?.rounds.length ?? 0;
  return [
    changeTable(report),
    transitionTable(report),
    ...(controls.length > 0 ? controlTables(report) : []),
    ...(baselines.length > 0
      ? [
          {
            title: 'Baselines and the trained model',
            table: comparisonTable(baselines, ['baseline', 'trained']),
          },
        ]
      : []),
    ...(rounds > 2 ? [{ title: 'Passed after so many rounds', table: roundTable(report) }] : []),
    ...(samples > 1 ? [{ title: 'At least one of k first tries passes', table: passTable(report) }] : []),
  ];
}

function changeTable({ decoding, comparisons }: DecodingReport): TitledTable {
  return {
    title: 'From before to after training',
    table: [
      ['', ...CHANGES.map(([, words]) => words)],
      ...comparisons.map(({ label, result: { both, only_before, only_after, neither } }) => [
        label,
        ...[both, only_before, only_after, neither].map(String),
      ]),
    ],
    samples: comparisons.map(({ name }) => [
      null,
      ...CHANGES.map(([change]) => ({ decoding, change: `${name}.${change}` })),
    ]),
  };
}

function transitionTable(report: DecodingReport): TitledTable {
  const ends = [
    ['right_right', 'right', 'right'],
    ['right_wrong', 'right', 'wrong'],
    ['wrong_right', 'wrong', 'right'],
    ['wrong_wrong', 'wrong', 'wrong'],
  ] as const;
  const { decoding } = report;
  return {
    title: 'From the first answer to the last',
    table: [
      ['', ...CHANGES.map(([, words]) => words)],
      ...ownTries(report).map(([name, { transitions }]) => [
        modelLabel(name),
        ...ends.map(([key]) => `${transitions?.[key]}`),
      ]),
    ],
    samples: ownTries(report).map(([arm]) => [
      null,
      ...ends.map(([, first, last]) => ({ decoding, arm, first, last })),
    ]),
    note: 'Where only failures are retried, no right answer can be lost: eval.retry: all retries every one.',
  };
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
