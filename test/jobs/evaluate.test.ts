/** The evaluation with real processes, whose sampler is test/fixtures/fake_episodes.py. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';
import { evaluate } from '../../src/jobs/evaluate.ts';
import { silentProgress } from '../../src/jobs/progress.ts';
import { writeReport } from '../../src/jobs/report.ts';
import type { Launcher } from '../../src/launch/launcher.ts';
import { LocalLauncher } from '../../src/launch/local.ts';
import type { EvalRecord } from '../../src/report/report.ts';
import { fingerprint, flatten } from '../../src/run/decisive.ts';
import { runPaths } from '../../src/run/paths.ts';
import { beginStage } from '../../src/run/stage.ts';

const QUERIES = 30;
let run: string;
let config: Config;
/** Started workers, by the model they were given. */
let launches: number;
let launcher: Launcher;

beforeEach(async () => {
  run = mkdtempSync(join(tmpdir(), 'rrr-eval-'));
  const base = join(run, 'base');
  mkdirSync(base);
  writeFileSync(join(base, 'config.json'), '{}');
  writeFileSync(
    join(run, 'a.yaml'),
    'model: {name: ./base}\ndata: {source: generator, rows: 100}\nworkers: {count: 2, max_in_flight: 4}\n',
  );
  config = loadConfig({ file: 'a.yaml', sets: [], cwd: run }).config as Config;

  const paths = runPaths(run);
  const local = new LocalLauncher({
    python: resolve('.venv/bin/python'),
    logs: paths.logs,
    env: { PYTHONPATH: resolve('test/fixtures') },
  });
  launches = 0;
  launcher = {
    launch: (request) => {
      launches++;
      return local.launch({ ...request, module: 'fake_episodes' });
    },
  };
  mkdirSync(paths.data, { recursive: true });
  const query = (target: number) => ({ id: `q${target}`, index: target, fields: { target } });
  writeFileSync(
    paths.testQueries,
    Array.from({ length: QUERIES }, (_, i) => `${JSON.stringify(query(i))}\n`).join(''),
  );
  for (const stage of ['failures', 'train'] as const) {
    await beginStage({ run, stage, config, resume: false }).during(async () => {});
  }
});

const evaluateRun = (
  options: { resume?: boolean; signal?: AbortSignal; onUpdate?: (done: number) => void } = {},
) =>
  evaluate({
    config,
    run,
    resume: options.resume ?? false,
    signal: options.signal ?? new AbortController().signal,
    progress: { ...silentProgress, update: ({ done }) => options.onUpdate?.(done) },
    launcher,
  });

const readRecords = (): EvalRecord[] =>
  readFileSync(runPaths(run).evalJournal, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

const keys = (records: readonly EvalRecord[]) =>
  records.map(({ episode, ...key }) => JSON.stringify(key)).sort();

test('each model answers every query in every mode, and the trained one reflects on the failed answers of the base', async () => {
  await evaluateRun();
  const records = readRecords();
  // Of 0..29 the base model passes the eight multiples of 4: 22 failures in either mode.
  expect(records.length).toBe(2 * (QUERIES + QUERIES + 22));
  expect(new Set(keys(records)).size).toBe(records.length);
  for (const { model, mode, answer, id, episode } of records) {
    if (answer !== 'base') continue;
    expect(model).toBe('after');
    expect(episode.first).toBeNull();
    expect(episode.reflection?.completion).toBe(`model on: base says ${mode} ${id.slice(1)}`);
  }
  expect(launches).toBe(4);
});

test('an interrupted evaluation resumes without asking twice, and its report is that of an unbroken one', async () => {
  const controller = new AbortController();
  const onUpdate = (done: number) => done === 11 && controller.abort(new Error('Ctrl-C'));
  await expect(evaluateRun({ signal: controller.signal, onUpdate })).rejects.toThrow('Ctrl-C');
  const before = readRecords();
  expect(before.length).toBeGreaterThanOrEqual(11);
  expect(before.length).toBeLessThan(60);
  // A kill in the middle of an append leaves half a line.
  writeFileSync(runPaths(run).evalJournal, '{"model":"befo', { flag: 'a' });

  await expect(evaluateRun()).rejects.toThrow('unfinished');
  await evaluateRun({ resume: true });
  const records = readRecords();
  expect(records.slice(0, before.length)).toEqual(before);
  expect(new Set(keys(records)).size).toBe(records.length);
  expect(records.length).toBe(164);

  const started = launches;
  await evaluateRun({ resume: true });
  expect(launches).toBe(started);
});

const counts = { read: 100, train: 70, test: 30, unused: 0, duplicates: 0, skipped: 0 };
const data = { ...counts, skipped_examples: [], prompts: {} };

test('a model that another run trained needs no training here', async () => {
  const model = join(run, 'elsewhere', 'model');
  config = { ...config, eval: { ...config.eval, model } };
  const paths = runPaths(run);
  const data_sha = fingerprint(flatten({ seed: config.seed, task: config.task, data: config.data }));
  writeFileSync(paths.manifest, JSON.stringify({ rrr_version: '0', created: '', data_sha, stages: {} }));
  writeFileSync(paths.dataSummary, JSON.stringify(data));
  await evaluateRun();
  const report = await writeReport(run);
  expect(report.modes[0]?.second_try).toMatchObject({ n: 22, before: { k: 4 }, after: { k: 7 } });
  expect(report.models.after).toBe(model);
  expect(report.reward).toBeNull();
  expect(report.verdict.at(-1)).toContain('another run');
  expect(readFileSync(paths.report('md'), 'utf8')).toContain('by another run');
  config = { ...config, eval: { ...config.eval, model: undefined } };
  await expect(evaluateRun()).rejects.toThrow('no finished train stage');
});

test('the report counts what the journal says', async () => {
  await evaluateRun();
  const paths = runPaths(run);
  writeFileSync(paths.dataSummary, JSON.stringify(data));
  writeFileSync(paths.tallies, '');
  writeFileSync(paths.trainEvents, '');
  const report = await writeReport(run);
  const [sampled] = report.modes;
  expect(sampled?.first_try).toMatchObject({ n: 30, before: { k: 8 }, after: { k: 10 } });
  // Of the 22 failures, multiples of 5 are 5, 10, 15, 25; seven are even.
  expect(sampled?.second_try).toMatchObject({ n: 22, before: { k: 4 }, after: { k: 7 } });
  expect(report.versions.rrr_workers).toBeDefined();
  expect(existsSync(paths.report('html'))).toBe(true);
});

describe('before anything starts', () => {
  test('an empty test split', async () => {
    writeFileSync(runPaths(run).testQueries, '');
    await expect(evaluateRun()).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringContaining('test split is empty'),
    });
    expect(launches).toBe(0);
  });

  test('a run that was not trained', async () => {
    writeFileSync(runPaths(run).manifest, JSON.stringify({ rrr_version: '0', created: '', stages: {} }));
    await expect(evaluateRun()).rejects.toMatchObject({ exitCode: 2, cure: 'run rrr train first' });
  });

  test('an endpoint, which can not serve the trained model', async () => {
    config = { ...config, workers: { ...config.workers, engine: 'openai' } };
    await expect(evaluateRun()).rejects.toMatchObject({
      exitCode: 2,
      cure: expect.stringContaining('workers.engine=vllm'),
    });
  });
});
