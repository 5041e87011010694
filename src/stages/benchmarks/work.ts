/**
 * General benchmarks, asked of the base model and of the trained one under the same configuration. A worker holds one
 * model and answers one benchmark at a time, whose items it writes as a whole: a benchmark of a model is done or not.
 */
import { existsSync } from 'node:fs';
import { findBenchmarkFiles, mostNewTokens } from '../../config/benchmarks.ts';
import type { Config } from '../../config/schema.ts';
import { benchmarkResult } from '../../protocol/methods.ts';
import { describeForgetting, forgettingTable } from '../../report/forgetting.ts';
import type { Forgetting } from '../../report/report.ts';
import { readJson, replaceJson } from '../../run/files.ts';
import { runDate } from '../../run/manifest.ts';
import type { RunPaths } from '../../run/paths.ts';
import { alignColumns } from '../../text.ts';
import { WorkerPool } from '../../workers/pool.ts';
import { Worker } from '../../workers/worker.ts';
import { describePlace } from '../samplers.ts';
import type { Counted, PlannedQueries, StageJob, StagePlan, View } from '../stage.ts';
import { MODELS, type Model, readForgetting } from './results.ts';

/** In progress and messages. */
const WHEN = { base: 'before training', trained: 'after training' };

export function plan(config: Config, paths: RunPaths, _queries: PlannedQueries): StagePlan {
  const { tasks, items, source, path } = config.benchmarks;
  return {
    work: {
      benchmarks: tasks.join(', '),
      items: items === undefined ? 'all' : `at most ${items} of each`,
      from: source === 'files' ? `${path}` : 'the hub',
      'tokens of an answer at most': mostNewTokens(config),
    },
    processes: MODELS.map((model) => ({
      role: 'benchmark',
      count: workersFor(tasks, config),
      what: `lm-eval on vllm, ${nameOf(model, config, paths)}${describePlace(config, workersFor(tasks, config))}`,
    })),
    writes: MODELS.flatMap((model) => tasks.map((task) => paths.benchmarkItems(model, task))),
  };
}

export async function run(job: StageJob): Promise<void> {
  for (const model of MODELS) await runModel(model, job);
}

export async function count(paths: RunPaths): Promise<Counted> {
  const { benchmarks } = readJson(paths.stageConfig('benchmarks')) as Config;
  const files = MODELS.flatMap((model) => benchmarks.tasks.map((task) => paths.benchmarkItems(model, task)));
  return { done: files.filter((file) => existsSync(file)).length, total: files.length, kinds: {} };
}

/** Counted from the items, so that the summary is never older than they are. */
export async function readSummary(paths: RunPaths): Promise<Forgetting[]> {
  const summary = await readForgetting(paths);
  replaceJson(paths.benchmarksSummary, summary);
  return summary;
}

export function show(summary: Forgetting[], view: View) {
  const path = view.path(view.paths.benchmarksSummary);
  const lines = [
    ...alignColumns(forgettingTable(summary)),
    '',
    ...describeForgetting(summary),
    '',
    `summary: ${path}`,
  ];
  return { text: lines.join('\n'), json: { benchmarks: summary, summary: path } };
}

function nameOf(model: Model, config: Config, paths: RunPaths): string {
  return model === 'base' ? config.model.name : (config.eval.model ?? paths.trainedModel);
}

function workersFor(tasks: readonly string[], { workers }: Config): number {
  return Math.min(workers.count, tasks.length);
}

/** The benchmarks that the model hasn't answered. */
async function runModel(model: Model, job: StageJob): Promise<void> {
  const { config, paths, progress, signal } = job;
  const { tasks } = config.benchmarks;
  const owed = tasks.filter((task) => !existsSync(paths.benchmarkItems(model, task)));
  if (owed.length === 0) return;
  let done = tasks.length - owed.length;
  const counters: Record<string, string> = {};
  const tell = () => progress.update({ done, total: tasks.length, counters });
  const pool = makePool(model, owed, job, ({ phase, done, total }) => {
    counters[phase] = total === null ? 'starting' : `${done}/${total}`;
    tell();
  });
  progress.start(`benchmarks ${WHEN[model]}`, tasks.length, done);
  try {
    await pool.start(signal);
    await pool.forEach(
      owed,
      async (task) => {
        const output = paths.benchmarkItems(model, task);
        const params = { task, model, output, max_gen_toks: mostNewTokens(config) };
        const { items, too_long, cut } = benchmarkResult.parse(await pool.call('benchmark', params));
        done++;
        delete counters[task];
        tell();
        progress.note(
          `${task} ${WHEN[model]}: ${items} items, ${too_long} too long to ask, ${cut} answers cut at the limit`,
        );
      },
      signal,
    );
  } finally {
    await pool.stop();
    progress.finish();
  }
}

function makePool(
  model: Model,
  owed: readonly string[],
  job: StageJob,
  onProgress: (frame: { phase: string; done: number; total: number | null }) => void,
): WorkerPool {
  const { config, paths, log, progress } = job;
  const { workers, benchmarks } = config;
  const { path, source } = benchmarks;
  const files =
    source === 'files' && path !== undefined
      ? Object.fromEntries(owed.map((task) => [task, findBenchmarkFiles(path, task)[0]]))
      : {};
  const options = { model: nameOf(model, config, paths), tasks: owed, files, date: runDate(paths) };
  return new WorkerPool({
    count: workersFor(owed, config),
    maxInFlight: 1,
    maxRestarts: workers.max_restarts,
    callTimeoutS: workers.call_timeout_s,
    stopGraceS: workers.stop_grace_s,
    launch: (index) =>
      new Worker(
        {
          name: `benchmark-${index}`,
          module: 'rrr_workers.roles.benchmark',
          devices: workers.devices?.[index],
          share: { index, count: workersFor(owed, config), gpus: config.engine.tensor_parallel },
          config,
          options,
          readyTimeoutS: workers.ready_timeout_s,
          onProgress,
        },
        job,
      ),
    log,
    note: (line) => progress.note(line),
  });
}
