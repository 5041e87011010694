/** What general benchmarks say of training: the same items before and after, item by item. */
import type { BenchmarkItem } from '../run/records.ts';
import type { Table } from './facts.ts';
import { percent, points, pValue, range } from './format.ts';
import type { BeforeAfter } from './report.ts';
import { comparePaired, type PairedComparison } from './statistics.ts';
import { outcomeOf } from './verdict.ts';

export interface Forgetting {
  task: string;
  /** All that were read; those that were too long for either model are not in `result`. */
  items: number;
  too_long: number;
  /** Answers of `result` that were cut at the limit. */
  cut: BeforeAfter<number>;
  /** Items of `result` whose prompt was not the same text for both models. */
  other_prompts: number;
  result: PairedComparison;
}

/** Both lists hold the same items, in any order. */
export function compareBenchmark(
  task: string,
  before: readonly BenchmarkItem[],
  after: readonly BenchmarkItem[],
): Forgetting {
  const later = new Map(after.map((item) => [item.id, item]));
  const pairs = before
    .map((item) => ({ before: item, after: later.get(item.id) as BenchmarkItem }))
    .filter((pair) => !pair.before.too_long && !pair.after.too_long);
  const passed = ({ score }: BenchmarkItem) => score === 1;
  return {
    task,
    items: before.length,
    too_long: before.length - pairs.length,
    cut: {
      before: pairs.filter((pair) => pair.before.cut).length,
      after: pairs.filter((pair) => pair.after.cut).length,
    },
    other_prompts: pairs.filter((pair) => pair.before.prompt !== pair.after.prompt).length,
    result: comparePaired(pairs.map((pair) => ({ before: passed(pair.before), after: passed(pair.after) }))),
  };
}

export function forgettingTable(benchmarks: readonly Forgetting[]): Table {
  return [
    [
      ...['benchmark', 'n', 'before', 'after', 'points', '95 % interval', '1 → 0', '0 → 1', 'McNemar p'],
      ...['too long', 'cut'],
    ],
    ...benchmarks.map(({ task, too_long, cut, result }) => [
      task,
      `${result.n}`,
      `${percent(result.before.rate)} %`,
      `${percent(result.after.rate)} %`,
      points(result.difference),
      range(result.interval),
      `${result.only_before}`,
      `${result.only_after}`,
      pValue(result.p_value),
      `${too_long}`,
      `${cut.before} → ${cut.after}`,
    ]),
  ];
}

/** What the numbers say, and what to know before they are believed. */
export function describeForgetting(benchmarks: readonly Forgetting[]): string[] {
  const named = (outcome: ReturnType<typeof outcomeOf>) =>
    benchmarks
      .filter(({ result }) => result.n > 0 && outcomeOf(result) === outcome)
      .map(({ task, result }) => `${task} (${points(result.difference)} points [${range(result.interval)}])`)
      .join(', ') || 'none';
  const unasked = benchmarks.filter(({ too_long }) => too_long > 0);
  const changed = benchmarks.filter(({ other_prompts }) => other_prompts > 0);
  return [
    `General benchmarks after training, p < 0.05, 95 % intervals: lost on ${named('loss')}; gained on ${named('gain')}; no change shown on ${named('no change shown')}.`,
    ...(unasked.length === 0
      ? []
      : [
          `Too long for model.max_model_len with room for an answer, so not asked and not compared: ${unasked.map(({ task, too_long, items }) => `${too_long} of ${items} items of ${task}`).join(', ')}.`,
        ]),
    ...(changed.length === 0
      ? []
      : [
          `The two models were not asked in the same words: their chat templates differ (${changed.map(({ task, other_prompts }) => `${task} ${other_prompts}`).join(', ')} items).`,
        ]),
  ];
}
