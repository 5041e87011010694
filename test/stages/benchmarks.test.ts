/** The benchmarks stage with scripted workers, which answer as the real role does: with a file. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import type { Config } from '../../src/config/schema.ts';
import type { Forgetting } from '../../src/report/report.ts';
import { runPaths } from '../../src/run/paths.ts';
import { silentProgress } from '../../src/run/progress.ts';
import type { BenchmarkItem } from '../../src/run/records.ts';
import { benchmarks } from '../../src/stages/benchmarks/stage.ts';
import { count, show } from '../../src/stages/benchmarks/work.ts';
import { executeStage } from '../../src/stages/execute.ts';
import { failures } from '../../src/stages/failures/stage.ts';
import { planStage } from '../../src/stages/plan.ts';
import { train } from '../../src/stages/train/stage.ts';
import { makeConfig, temporaryFolder } from '../workers/harness.ts';
import { type Call, ScriptedLauncher, type ScriptedWorker } from '../workers/scripted.ts';
import { finishStage } from './finish-stage.ts';

const ITEMS = 20;
let run: string;
let config: Config;
let launcher: ScriptedLauncher;
/** Changes an item of what a worker answers. */
let change: (item: BenchmarkItem, index: number) => BenchmarkItem;

/** The base model knows the first 12 items; the trained one lost 0 to 8 and found 19. */
function knows(model: unknown, index: number): boolean {
  return model === 'base' ? index < 12 : (index > 8 && index < 12) || index === 19;
}

function answer(call: Call, worker: ScriptedWorker): void {
  if (call.method === 'hub') {
    worker.answer(call, { repos: [] });
    return;
  }
  const { task, model, output } = call.params as { task: string; model: 'base' | 'trained'; output: string };
  const items = Array.from({ length: ITEMS }, (_, index) =>
    change(
      {
        id: `q${index}`,
        model,
        task,
        score: knows(model, index) ? 1 : 0,
        too_long: false,
        cut: index === 3,
        prompt: 'p',
        completion: 'text',
      },
      index,
    ),
  );
  mkdirSync(dirname(output), { recursive: true });
  writeFileSync(output, items.map((item) => `${JSON.stringify(item)}\n`).join(''));
  worker.answer(call, { items: ITEMS, too_long: 0, cut: 1 });
}

beforeEach(async () => {
  run = join(temporaryFolder(), 'run');
  config = makeConfig({ benchmarks: { tasks: ['gsm8k', 'hellaswag'], items: 20 } });
  launcher = new ScriptedLauncher({ call: answer });
  change = (item) => item;
  for (const stage of [failures, train]) await finishStage(run, stage, config);
});

const benchmark = (
  options: { resume?: boolean; signal?: AbortSignal; note?: (line: string) => void } = {},
): Promise<Forgetting[]> =>
  executeStage(benchmarks, {
    config,
    run,
    resume: options.resume ?? false,
    signal: options.signal ?? new AbortController().signal,
    progress: { ...silentProgress, note: (line) => options.note?.(line) },
    launcher,
  });

const isBenchmark = ({ method }: Call) => method === 'benchmark';
const calls = () => launcher.calls.filter(isBenchmark);
/** Without the one that asks the hub first. */
const workers = () => launcher.workers.filter((worker) => worker.calls.every(isBenchmark));
const asked = () => calls().map(({ params }) => `${params.model} ${params.task}`);

test('each model answers each benchmark once, and the change is that of the same items', async () => {
  const [gsm8k, hellaswag] = await benchmark();
  expect(asked()).toEqual(['base gsm8k', 'base hellaswag', 'trained gsm8k', 'trained hellaswag']);
  expect(workers().map(({ options }) => options.model)).toEqual([
    config.model.name,
    runPaths(run).trainedModel,
  ]);
  expect(calls()[0]?.params.max_gen_toks).toBe(2048);
  expect(gsm8k).toMatchObject({
    task: 'gsm8k',
    items: 20,
    too_long: 0,
    cut: { before: 1, after: 1 },
    other_prompts: 0,
    result: { n: 20, before: { k: 12 }, after: { k: 4 }, only_before: 9, only_after: 1 },
  });
  expect(gsm8k?.result.p_value).toBeCloseTo(22 / 1024, 10);
  expect(hellaswag?.result).toEqual(gsm8k?.result);
  const { benchmarksSummary } = runPaths(run);
  expect(JSON.parse(readFileSync(benchmarksSummary, 'utf8'))).toEqual([gsm8k, hellaswag]);
  expect(await count(runPaths(run))).toEqual({ done: 4, total: 4, kinds: {} });
});

test('a loss is shown as a loss', async () => {
  const view = { paths: runPaths(run), path: (path: string) => path, next: (command: string) => command };
  const { text, json } = show(await benchmark(), view);
  expect(text).toMatch(/^gsm8k +20 +60\.0 % +20\.0 % +−40\.0 .* 9 +1 +0\.0215 /m);
  expect(text).toMatch(
    /lost on gsm8k \(−40\.0 points \[.*\]\), hellaswag \(.*\); gained on none; no change shown on none/,
  );
  expect(json).toMatchObject({ benchmarks: [{ task: 'gsm8k' }, { task: 'hellaswag' }] });
});

test('what is too long for one of the models is told and not compared, and so are other prompts', async () => {
  change = (item, index) =>
    index < 2 && item.model === 'trained'
      ? { ...item, too_long: true, score: 0 }
      : { ...item, prompt: index === 5 ? item.model : 'p' };
  const summary = await benchmark();
  expect(summary[0]).toMatchObject({ items: 20, too_long: 2, other_prompts: 1, result: { n: 18 } });
  const view = { paths: runPaths(run), path: (path: string) => path, next: (command: string) => command };
  const { text } = show(summary, view);
  expect(text).toContain('not asked and not compared: 2 of 20 items of gsm8k, 2 of 20 items of hellaswag');
  expect(text).toContain('same words, as by another chat template: 1 of 20 items of gsm8k');
});

test('an interrupted stage goes on with what no model has answered', async () => {
  const controller = new AbortController();
  launcher = new ScriptedLauncher({
    call: (call, worker) => {
      if (call.params.model === 'trained') controller.abort(new Error('Ctrl-C'));
      else answer(call, worker);
    },
  });
  await expect(benchmark({ signal: controller.signal })).rejects.toThrow('Ctrl-C');
  expect(await count(runPaths(run))).toMatchObject({ done: 2 });
  launcher = new ScriptedLauncher({ call: answer });
  await expect(benchmark()).rejects.toThrow('unfinished');
  const summary = await benchmark({ resume: true });
  expect(asked()).toEqual(['trained gsm8k', 'trained hellaswag']);
  expect(summary).toHaveLength(2);
  expect(await benchmark({ resume: true })).toEqual(summary);
  expect(asked()).toHaveLength(2);
});

test('two workers share the benchmarks of a model', async () => {
  config = { ...config, workers: { ...config.workers, count: 3 } };
  await benchmark();
  expect(workers()).toHaveLength(4);
  expect(workers().map(({ calls }) => calls.length)).toEqual([1, 1, 1, 1]);
});

test('items that differ between the models are no comparison', async () => {
  change = (item, index) => (item.model === 'trained' && index === 7 ? { ...item, id: 'another' } : item);
  await expect(benchmark()).rejects.toThrow('gsm8k: the two models were asked different items');
});

test('a model that another run trained needs no training here, and one of this run does', async () => {
  run = join(temporaryFolder(), 'run');
  await expect(benchmark()).rejects.toThrow('no finished train stage');
  config = { ...config, eval: { ...config.eval, model: '/elsewhere/model' } };
  await benchmark();
  expect(launcher.workers.at(-1)?.options.model).toBe('/elsewhere/model');
});

test('local rows: their files go to the worker, and other rows are another run', async () => {
  const path = temporaryFolder();
  for (const name of ['GSM8K-test.jsonl', 'hellaswag.jsonl']) writeFileSync(join(path, name), '{}\n');
  config = { ...config, benchmarks: { ...config.benchmarks, source: 'files', path } };
  const plan = await planStage(benchmarks, config, run);
  expect(plan.work).toMatchObject({ benchmarks: 'gsm8k, hellaswag', from: path });
  await benchmark();
  expect(workers()[0]?.options.files).toEqual({
    gsm8k: join(path, 'GSM8K-test.jsonl'),
    hellaswag: join(path, 'hellaswag.jsonl'),
  });
  writeFileSync(join(path, 'hellaswag.jsonl'), '{"other": 1}\n');
  await expect(benchmark({ resume: true })).rejects.toMatchObject({
    details: [expect.stringContaining('benchmarks.path.hellaswag: ')],
  });
});

test('without a model there is nothing on disk', async () => {
  launcher = new ScriptedLauncher({
    start: (worker) =>
      worker.tell({ type: 'fatal', error: { type: 'user', message: 'a bad row', retryable: false } }),
  });
  await expect(benchmark()).rejects.toMatchObject({
    exitCode: 2,
    message: expect.stringContaining('a bad row'),
  });
  expect(existsSync(dirname(runPaths(run).benchmarkItems('base', 'gsm8k')))).toBe(false);
});
