/** What needs no run directory: does this task hold, what is in this data? A Python worker knows. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type DataStatsResult,
  dataStatsResult,
  type TaskCheckResult,
  taskCheckResult,
} from '../protocol/methods.ts';
import { openLog } from '../run/log.ts';
import { runPaths } from '../run/paths.ts';
import { askWorker, type Question } from './ask.ts';
import { type JobOptions, localLauncher } from './job.ts';

export type InspectOptions = Pick<JobOptions, 'config' | 'signal' | 'launcher'>;

/** Judges answers on the first `rows` usable rows. */
export async function checkTask(rows: number, options: InspectOptions): Promise<TaskCheckResult> {
  const question = {
    name: 'task-check',
    module: 'rrr_workers.task_check',
    method: 'check',
    params: { rows },
  };
  return taskCheckResult.parse(await ask(question, options));
}

export async function describeData(options: InspectOptions): Promise<DataStatsResult> {
  const question = { name: 'data-stats', module: 'rrr_workers.data_stats', method: 'stats', params: {} };
  return dataStatsResult.parse(await ask(question, options));
}

/** The worker's logs last as long as the question: an error carries what is worth reading. */
async function ask(question: Question, options: InspectOptions): Promise<unknown> {
  const { config, signal } = options;
  const folder = mkdtempSync(join(tmpdir(), 'rrr-'));
  try {
    const paths = runPaths(folder);
    const launcher = options.launcher ?? localLauncher(config, paths);
    return await askWorker(question, { config, signal, launcher, log: openLog(paths) });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
