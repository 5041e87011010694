/** What general benchmarks say of training: the same items before and after, item by item. */
import type { BenchmarkItem } from '../run/records.ts';
import { changeCells, points, pValue, range, rateCells } from './format.ts';
import { adjust, type Outcome, outcomeOf } from './outcome.ts';
import type { BeforeAfter, Forgetting } from './report.ts';
import { comparePaired } from './statistics.ts';
import type { Table } from './table.ts';

/** The items of a benchmark under each model. Both lists hold the same items, in any order. */
export interface BenchmarkItems extends BeforeAfter<readonly BenchmarkItem[]> {
  task: string;
}

export function compareBenchmarks(benchmarks: readonly BenchmarkItems[]): Forgetting[] {
  const compared = benchmarks.map(compareBenchmark);
  adjust(compared);
  return compared;
}

function compareBenchmark({ task, before, after }: BenchmarkItems): Forgetting {
  const later = new Map(after.map((item) => [item.id, item]));
  const pairs = before
    .map((item) => ({ before: item, after: later.get(item.id) as BenchmarkItem }))
    .filter((pair) => !pair.before.too_long && !pair.after.too_long);
  const passed = ({ score }: BenchmarkItem) => score === 1;
  const result = comparePaired(
    pairs.map((pair) => ({ before: passed(pair.before), after: passed(pair.after) })),
  );
  return {
    task,
    items: before.length,
    too_long: before.length - pairs.length,
    cut: {
      before: pairs.filter((pair) => pair.before.cut).length,
      after: pairs.filter((pair) => pair.after.cut).length,
    },
    other_prompts: pairs.filter((pair) => pair.before.prompt !== pair.after.prompt).length,
    result,
    adjusted_p: result.p_value,
  };
}

export function forgettingTable(benchmarks: readonly Forgetting[]): Table {
  return [
    [
      ...['benchmark', 'n', 'before', 'after', 'points', '95 % interval', '1 → 0', '0 → 1', 'p', 'Holm p'],
      ...['too long', 'cut'],
    ],
    ...benchmarks.map(({ task, too_long, cut, result, adjusted_p }) => [
      task,
      ...rateCells(result),
      ...changeCells(result),
      pValue(result.p_value),
      pValue(adjusted_p),
      `${too_long}`,
      `${cut.before} → ${cut.after}`,
    ]),
  ];
}

/** What the numbers say, in the first sentence, and what to know before they are believed. */
export function describeForgetting(benchmarks: readonly Forgetting[]): string[] {
  const named = (outcome: Outcome) =>
    benchmarks
      .filter((benchmark) => benchmark.result.n > 0 && outcomeOf(benchmark) === outcome)
      .map(({ task, result }) => `${task} (${points(result.difference)} points [${range(result.interval)}])`)
      .join(', ') || 'none';
  return [
    `General benchmarks after training, Holm p < 0.05, 95 % intervals over the items: lost on ${named('loss')}; gained on ${named('gain')}; no change shown on ${named('no change shown')}.`,
    ...warn(
      'Too long for model.max_model_len with room for an answer, so not asked and not compared',
      benchmarks,
      ({ too_long }) => too_long,
    ),
    ...warn(
      'Not asked of both models in the same words, as by another chat template',
      benchmarks,
      ({ other_prompts }) => other_prompts,
    ),
  ];
}

/** A sentence where some items are concerned. */
function warn(
  what: string,
  benchmarks: readonly Forgetting[],
  count: (benchmark: Forgetting) => number,
): string[] {
  const concerned = benchmarks
    .filter((benchmark) => count(benchmark) > 0)
    .map((benchmark) => `${count(benchmark)} of ${benchmark.items} items of ${benchmark.task}`);
  return concerned.length === 0 ? [] : [`${what}: ${concerned.join(', ')}.`];
}
