/** What several runs say together, in sentences and tables. */

import { changeCells, percent, points, pValue, range, rateCells } from '../format.ts';
import { outcomeOf } from '../outcome.ts';
import type { BeforeAfter } from '../report.ts';
import type { PairedComparison, Proportion } from '../statistics.ts';
import type { TitledTable } from '../table.ts';
import type { BesideReport, JoinedComparison, JoinedGroup, SeveralRuns, TransferCell } from './runs.ts';

export interface Document {
  title: string;
  sentences: string[];
  /** Shares that passed, before and after. */
  charts: { title: string; groups: ({ label: string } & BeforeAfter<Proportion>)[] }[];
  tables: TitledTable[];
}

export function describeRuns(report: SeveralRuns): Document {
  return {
    title: `${report.runs.length} runs compared`,
    sentences: [
      ...report.joined.flatMap(sayGroup),
      ...report.beside.map(sayBeside),
      ...(report.joined.length + report.beside.length + report.transfer.length === 0
        ? [
            'These runs have nothing in common that could be compared: other configurations, and no query that two of them asked in the same words.',
          ]
        : []),
    ],
    charts: report.joined.flatMap(joinedCharts),
    tables: [
      {
        title: 'Runs',
        table: [
          ['run', 'task', 'seed', 'reward', 'test queries', 'base model', 'trained model'],
          ...report.runs.map(({ name, task, seed, reward, queries, base, trained }) => [
            name,
            task,
            `${seed}`,
            reward,
            `${queries}`,
            base,
            trained,
          ]),
        ],
      },
      ...report.joined.flatMap(joinedTables),
      ...(report.beside.length > 0 ? [besideTable(report.beside)] : []),
      ...transferTables(report.transfer),
    ],
  };
}

const nameGroup = ({ task, reward, seeds }: JoinedGroup) =>
  `${task}${reward === 'shuffled' ? ', shuffled reward' : ''}, seeds ${seeds.join(', ')}`;

function sayGroup(group: JoinedGroup): string[] {
  return group.comparisons
    .filter(({ control }) => !control)
    .map((comparison) => {
      const { decoding, label, over_runs, result } = comparison;
      const over = `over ${group.runs.length} training runs`;
      const interval = over_runs.interval
        ? `95 % interval ${over} ${range(over_runs.interval)}`
        : `no interval ${over}: they all agree`;
      return `${nameGroup(group)}, ${decoding}, ${label}: ${sayOutcome(comparison)}, ${percent(result.before.rate)} % to ${percent(result.after.rate)} %: ${points(over_runs.difference)} points on average (${interval}; over queries of these models ${range(result.interval)}, Holm p = ${pValue(comparison.adjusted_p)}, n = ${result.n}).`;
    });
}

/** What the queries show of these models, and whether it holds over training runs. */
function sayOutcome({ result, adjusted_p, over_runs }: JoinedComparison): string {
  const outcome = outcomeOf({ result, adjusted_p });
  if (outcome === 'no change shown') return outcome;
  const [low, high] = over_runs.interval ?? [0, 0];
  return low > 0 || high < 0
    ? `a ${outcome}`
    : `a ${outcome} of these models, not shown to be one of other training runs`;
}

function sayBeside({
  decoding,
  one,
  other,
  label,
  common,
  either,
  result,
  adjusted_p,
}: BesideReport): string {
  const outcome = outcomeOf({ result, adjusted_p });
  const said =
    outcome === 'no change shown'
      ? 'no difference shown'
      : outcome === 'gain'
        ? `${other} is better`
        : `${one} is better`;
  return `${other} beside ${one}, ${decoding}, ${label}: ${said}: ${percent(result.before.rate)} % of ${one}, ${percent(result.after.rate)} % of ${other}, ${points(result.difference)} points (95 % interval over queries ${range(result.interval)}, Holm p = ${pValue(adjusted_p)}; ${common} of ${either} tries were asked in the same words by both, n = ${result.n}).`;
}

function joinedCharts(group: JoinedGroup): Document['charts'] {
  const main = group.comparisons.filter(({ control }) => !control);
  return [...new Set(main.map(({ decoding }) => decoding))].map((decoding) => ({
    title: `Share passed before and after training, with 95 % intervals over queries, ${nameGroup(group)}, ${decoding} decoding`,
    groups: main
      .filter((comparison) => comparison.decoding === decoding)
      .map(({ label, result: { before, after } }) => ({ label, before, after })),
  }));
}

function joinedTables(group: JoinedGroup): TitledTable[] {
  const modes = [...new Set(group.comparisons.map(({ decoding }) => decoding))];
  return modes.map((decoding) => ({
    title: `${nameGroup(group)}: ${decoding}`,
    table: [
      [
        '',
        'n',
        'before',
        'after',
        ...group.seeds.map((seed) => `seed ${seed}`),
        'mean',
        '95 % over training runs',
        '95 % over queries',
        'Holm p',
      ],
      ...group.comparisons
        .filter((comparison) => comparison.decoding === decoding)
        .map(({ label, result, differences, over_runs, adjusted_p }) => [
          label,
          ...rateCells(result),
          ...differences.map(points),
          points(over_runs.difference),
          over_runs.interval ? range(over_runs.interval) : 'not told',
          range(result.interval),
          pValue(adjusted_p),
        ]),
    ],
    note: "Over training runs: a t interval of the runs' differences, which says what another run would give. Before, after and the interval over queries are of these trained models, and count every query once, however many of the runs have it. Holm over all rows of this group.",
  }));
}

function besideTable(rows: readonly BesideReport[]): TitledTable {
  return {
    title: 'Trained models side by side, on the same prompts',
    table: [
      [
        'one',
        'other',
        '',
        'n',
        'one passes',
        'other passes',
        'points',
        '95 % interval',
        'only one',
        'only other',
        'Holm p',
        'asked in other words',
      ],
      ...rows.map(({ decoding, one, other, label, result, adjusted_p, other_words }) => [
        one,
        other,
        `${label}, ${decoding}`,
        ...rateCells(result),
        ...changeCells(result),
        pValue(adjusted_p),
        `${other_words}`,
      ]),
    ],
    note: 'Only tries whose prompts have the same hash are compared.',
  };
}

/** Rows are what was trained on, columns what was evaluated: the change of second tries on the base model's failures. */
function transferTables(cells: readonly TransferCell[]): TitledTable[] {
  const unique = (values: readonly string[]) => [...new Set(values)];
  return unique(cells.map(({ decoding }) => decoding)).map((decoding) => {
    const ofMode = cells.filter((cell) => cell.decoding === decoding);
    const tasks = unique(ofMode.map(({ evaluated_on }) => evaluated_on));
    const show = (cell: { result: PairedComparison } | undefined) =>
      cell
        ? `${points(cell.result.difference)} [${range(cell.result.interval)}], n = ${cell.result.n}`
        : 'not run';
    return {
      title: `Transfer, ${decoding}: points of second tries`,
      table: [
        ['trained on', ...tasks],
        ...unique(ofMode.map(({ trained_on }) => trained_on)).map((trained) => [
          trained,
          ...tasks.map((task) =>
            show(
              ofMode.find(({ trained_on, evaluated_on }) => trained_on === trained && evaluated_on === task),
            ),
          ),
        ]),
      ],
    };
  });
}
