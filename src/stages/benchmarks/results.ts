/** What the benchmarks of a run say, from its files alone. */
import type { Config } from '../../config/schema.ts';
import { RunError } from '../../errors.ts';
import { type BenchmarkItems, compareBenchmarks } from '../../report/forgetting.ts';
import type { Forgetting } from '../../report/report.ts';
import { readJson } from '../../run/files.ts';
import { readRecords } from '../../run/journal.ts';
import type { RunPaths } from '../../run/paths.ts';
import { type BenchmarkItem, benchmarkItem } from '../../run/records.ts';

export const MODELS = ['base', 'trained'] as const satisfies readonly BenchmarkItem['model'][];
export type Model = (typeof MODELS)[number];

/** Of a finished stage; in the order of benchmarks.tasks. */
export async function readForgetting(paths: RunPaths): Promise<Forgetting[]> {
  const { benchmarks } = readJson(paths.stageConfig('benchmarks')) as Config;
  const read: BenchmarkItems[] = [];
  for (const task of benchmarks.tasks) read.push(await readBenchmark(task, paths));
  return compareBenchmarks(read);
}

async function readBenchmark(task: string, paths: RunPaths): Promise<BenchmarkItems> {
  const before = await readRecords(paths.benchmarkItems('base', task), benchmarkItem);
  const after = await readRecords(paths.benchmarkItems('trained', task), benchmarkItem);
  const ids = new Set(before.map(({ id }) => id));
  if (before.length !== after.length || !after.every(({ id }) => ids.has(id))) {
    throw new RunError(`${task}: the two models were asked different items: its data changed in between`, {
      cure: `remove ${MODELS.map((model) => paths.benchmarkItems(model, task)).join(' and ')}, or start another run (--run)`,
    });
  }
  return { task, before, after };
}
