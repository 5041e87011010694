/** What needs no run directory: does this task hold, what is in this data? A Python worker knows. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../config/schema.ts';
import { localLauncher } from '../launch/from-config.ts';
import type { Launcher } from '../launch/launcher.ts';
import { JsonText } from '../protocol/jsonl.ts';
import {
  type DataStatsResult,
  dataStatsResult,
  type Query,
  queryResult,
  type TaskCheckResult,
  taskCheckResult,
} from '../protocol/methods.ts';
import {
  type Choice,
  choicesResult,
  type PlanParams,
  type Resources,
  resourcesResult,
} from '../protocol/planning.ts';
import { openLog } from '../run/log.ts';
import { runPaths } from '../run/paths.ts';
import { askWorker, type Question } from '../workers/ask.ts';
import type { WorkerContext } from '../workers/worker.ts';

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

/** The query that a person typed: a row as JSON, or its only text. Throws UserError for one that the task refuses. */
export async function readQuery(text: string, options: InspectOptions): Promise<Query> {
  const module = 'rrr_workers.roles.query';
  const question = { name: 'query', module, method: 'query', params: { text } };
  const { id, fields } = queryResult.parse(await ask(question, options));
  return { id, index: 0, fields: new JsonText(fields) };
}

/** What the whole run takes, from the config.json of its model alone. */
export async function estimateRun(params: PlanParams, options: InspectOptions): Promise<Resources> {
  return resourcesResult.parse(await ask({ ...PLAN, method: 'plan', params: { ...params } }, options));
}

/** GPUs as --gpus and --nodes name them; null: those that nvidia-smi sees. */
export interface Gpus {
  gpus: string | null;
  nodes: number;
}

/**
 * For each of `models` on each of `hardware`, how it is best trained, with the context, the batch and the tokens of the
 * config. `fetch`: the hub is asked for the shape of a model that isn't a folder.
 */
export async function chooseSettings(
  params: { models: string[]; hardware: Gpus[]; fetch: boolean },
  options: InspectOptions,
): Promise<Choice[]> {
  return choicesResult.parse(await ask({ ...PLAN, method: 'choose', params }, options)).choices;
}

const PLAN = { name: 'plan', module: 'rrr_workers.roles.plan' };

async function ask(question: Question, options: InspectOptions): Promise<unknown> {
  return withoutRun(options, (worker) => askWorker(question, { ...options, ...worker }));
}

/** What workers write that belong to no run lasts as long as `work`: an error carries what is worth reading. */
export async function withoutRun<T>(
  { config, launcher }: Omit<InspectOptions, 'signal'>,
  work: (worker: WorkerContext) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'rrr-'));
  try {
    const paths = runPaths(folder);
    return await work({ launcher: launcher ?? localLauncher(config, paths.logs), log: openLog(paths) });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
