/** What needs no run directory: does this task hold, what is in this data? A Python worker knows. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../config/schema.ts';
import { localLauncher } from '../launch/from-config.ts';
import type { Launcher } from '../launch/launcher.ts';
import {
  type DataStatsResult,
  dataStatsResult,
  type TaskCheckResult,
  taskCheckResult,
} from '../protocol/methods.ts';
import { openLog } from '../run/log.ts';
import { runPaths } from '../run/paths.ts';
import { askWorker, type Question } from '../workers/ask.ts';

export interface InspectOptions {
  config: Config;
  signal: AbortSignal;
  /** Where the process starts. Default: this machine. */
  launcher?: Launcher;
}

/** Judges answers on the first `rows` usable rows. */
export async function checkTask(rows: number, options: InspectOptions): Promise<TaskCheckResult> {
  const module = 'rrr_workers.roles.task_check';
  const question = { name: 'task-check', module, method: 'check', params: { rows } };
  return taskCheckResult.parse(await ask(question, options));
}

/** Throws what a run would refuse before it loads a model, as far as this machine alone tells. */
export async function checkRun(options: InspectOptions): Promise<void> {
  await ask({ name: 'check', module: 'rrr_workers.roles.check', method: 'check', params: {} }, options);
}

export async function describeData(options: InspectOptions): Promise<DataStatsResult> {
  const module = 'rrr_workers.roles.data_stats';
  const question = { name: 'data-stats', module, method: 'stats', params: {} };
  return dataStatsResult.parse(await ask(question, options));
}

/** The worker's logs last as long as the question: an error carries what is worth reading. */
async function ask(question: Question, { config, signal, launcher }: InspectOptions): Promise<unknown> {
  const folder = mkdtempSync(join(tmpdir(), 'rrr-'));
  try {
    const paths = runPaths(folder);
    return await askWorker(question, {
      config,
      signal,
      launcher: launcher ?? localLauncher(config, paths.logs),
      log: openLog(paths),
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
