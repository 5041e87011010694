/** `rrr data stats`: what is in the data, and what would leak from training to evaluation. */
import { describeData } from '../inspect/question.ts';
import type { DataStatsResult } from '../protocol/methods.ts';
import type { Context, Outcome } from '../terminal/context.ts';
import { type ConfigOptions, requireConfig } from '../terminal/require-config.ts';
import { alignColumns } from '../text.ts';

export async function runDataStats(context: Context, options: ConfigOptions): Promise<Outcome> {
  const config = requireConfig(context, options);
  const stats = await describeData({ config, signal: context.signal });
  return { text: render(stats), json: stats };
}

function render({ rows, bad_rows, bad_examples, splits, task, duplicates }: DataStatsResult): string {
  const near = duplicates.near_across_split;
  const lines = [
    ['rows', `${rows}`],
    ['rows the task refuses', `${bad_rows}`],
    ...bad_examples.map((example) => ['', example]),
    ['training queries', `${splits.train}`],
    ['test queries', `${splits.test}`],
    ['unused queries', `${splits.unused}`],
    ...Object.entries(task).map(([key, value]) => [key.replaceAll('_', ' '), show(value)]),
    ['exact duplicates', `${duplicates.exact - duplicates.colliding}, dropped`],
    ...(duplicates.colliding > 0
      ? [['other rows of the same id', `${duplicates.colliding}, dropped: the id must tell rows apart`]]
      : []),
    ['the same problem again', `${duplicates.same_problem}, on one side of the split`],
    ['the same problem across the split', `${duplicates.across_split}`],
    [
      'near duplicates across the split',
      near ? `${near.test_rows} test queries, ${near.pairs} pairs` : 'not looked for: the task gives no text',
    ],
    ...(near?.examples ?? []).flatMap(({ test, train, similarity }) => [
      ['', `${similarity}  test   ${JSON.stringify(test)}`],
      ['', `${' '.repeat(`${similarity}`.length)}  train  ${JSON.stringify(train)}`],
    ]),
  ];
  return alignColumns(lines).join('\n');
}

/** Numbers, spreads as the built-in tasks give them, and whatever else a task tells. */
function show(value: DataStatsResult['task'][string] | undefined): string {
  if (typeof value === 'object' && value !== null && 'mean' in value)
    return `${value.mean}, from ${value.min} to ${value.max}`;
  return typeof value === 'string' ? value : JSON.stringify(value);
}
