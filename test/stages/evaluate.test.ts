/** The evaluation with real processes, whose sampler is test/fixtures/fake_episodes.py. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';
import type { Launcher } from '../../src/launch/launcher.ts';
import { LocalLauncher } from '../../src/launch/local.ts';
import { findPython } from '../../src/launch/python.ts';
import { runPaths } from '../../src/run/paths.ts';
import { silentProgress } from '../../src/run/progress.ts';
import type { EvalRecord } from '../../src/run/records.ts';
import { evaluate } from '../../src/stages/evaluate/stage.ts';
import { executeStage } from '../../src/stages/execute.ts';
import { failures } from '../../src/stages/failures/stage.ts';
import { dataFingerprint } from '../../src/stages/prepare.ts';
import { train } from '../../src/stages/train/stage.ts';
import { attempt, episode } from '../report/fixture.ts';
import { ScriptedLauncher } from '../workers/scripted.ts';
import { finishStage } from './finish-stage.ts';

const QUERIES = 30;
const counts = { read: 100, train: 70, test: 30, unused: 0, duplicates: 0, skipped: 0 };
const data = { ...counts, skipped_examples: [], prompts: {} };
let run: string;
let config: Config;
/** Started workers. */
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
    python: findPython({}),
    logs: paths.logs,
    env: { PYTHONPATH: `${resolve('test/fixtures')}:${resolve('workers')}` },
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
  writeFileSync(paths.dataSummary, JSON.stringify(data));
  for (const stage of [failures, train]) await finishStage(run, stage, config);
  writeFileSync(paths.tallies, '');
  writeFileSync(paths.trainEvents, '');
});

const evaluateRun = (
  options: { resume?: boolean; signal?: AbortSignal; onUpdate?: (done: number) => void } = {},
) =>
  executeStage(evaluate, {
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
  for (const { arm, decoding, id, episode } of records) {
    if (arm !== 'trained_on_base') continue;
    expect(episode.first).toBeNull();
    expect(episode.rounds[0]?.reflection?.completion).toBe(`model on: base says ${decoding} ${id.slice(1)}`);
  }
  expect(launches).toBe(2);
});

test('what a worker is asked: a decoding, the purpose that seeds follow from, where the arm starts, and its rounds', async () => {
  const scripted = new ScriptedLauncher({
    call: (call, worker) => {
      if (call.method === 'load_model')
        worker.fail(call, { type: 'call' }); // another engine is started
      else
        worker.answer(call, call.params.failed_answer === null ? episode(false, true) : episode(null, true));
    },
  });
  launcher = scripted;
  config = { ...config, eval: { ...config.eval, modes: ['greedy'] } };
  await evaluateRun();
  const asked = scripted.workers.flatMap(({ options, calls }) =>
    calls.map(({ method, params }) => ({ model: options.model, method, params })),
  );
  const query = { id: 'q7', index: 7, fields: { target: 7 } };
  const params = {
    query,
    decoding: 'greedy',
    purpose: 'eval',
    failed_answer: null,
    retry: { kind: 'reflect', rounds: 1, gated: true },
  };
  const trained = { model: runPaths(run).trainedModel, method: 'episode' };
  const aboutIt = asked.filter((call) => JSON.stringify(call.params.query) === JSON.stringify(query));
  expect(aboutIt).toHaveLength(3);
  expect(aboutIt).toEqual(
    expect.arrayContaining([
      { model: config.model.name, method: 'episode', params },
      { ...trained, params },
      { ...trained, params: { ...params, failed_answer: '1 + 2' } },
    ]),
  );
});

describe('with controls', () => {
  const CONTROLS = [
    'bare_retry',
    'hint',
    'donor',
    'base_reflection',
    'trained_reflection',
    'best_of_two',
    'equal_tokens',
  ] as const;

  test('each is given what it stands for, and starts no engine more than without them', async () => {
    config = { ...config, eval: { ...config.eval, modes: ['sampled'], controls: [...CONTROLS] } };
    const report = await evaluateRun();
    const said = (arm: string, id: string) =>
      readRecords().find((record) => record.arm === arm && record.id === id)?.episode.rounds[0]?.retry
        .completion;
    const failed = 'base says sampled 5';
    expect(said('bare_retry_trained', 'q5')).toBe(`bare after: ${failed}, given: None`);
    expect(said('base_reflection', 'q5')).toBe(`given after: ${failed}, given: base on: ${failed}`);
    expect(said('trained_reflection', 'q5')).toBe(`given after: ${failed}, given: model on: ${failed}`);
    expect(said('donor_trained', 'q5')).toBe(`given after: ${failed}, given: model on: base says sampled 6`);
    expect(said('donor_base', 'q29')).toBe(
      'given after: base says sampled 29, given: base on: base says sampled 1',
    );
    // Of the 22 failures, see fake_episodes.py.
    const fixed = Object.fromEntries(
      (report.decodings[0]?.controls ?? []).map(({ control, gain }) => [
        control,
        [gain.result.before.k, gain.result.after.k, gain.result.n],
      ]),
    );
    expect(fixed).toEqual({
      bare_retry: [3, 3, 22],
      hint: [2, 2, 22],
      donor: [4, 7, 22],
      base_reflection: [4, 7, 22],
      trained_reflection: [4, 4, 22],
      best_of_two: [7, 7, 22],
      equal_tokens: [7, 7, 22],
    });
    expect(report.decodings[0]?.controls[0]?.own.result).toMatchObject({ before: { k: 3 }, after: { k: 7 } });
    expect(report.decodings[0]?.arms.trained_on_base?.spent).toEqual({ completion: 10, prompt: null });
    // Two workers that hold base, trained, and base again with the trained model's reflections.
    expect(launches).toBe(2);
  });

  test('a finished evaluation goes on where more is asked of it, and keeps what it has', async () => {
    config = { ...config, eval: { ...config.eval, modes: ['sampled'], controls: ['hint'] } };
    await evaluateRun();
    const before = readRecords();
    const asked = { ...config, eval: { ...config.eval, controls: ['bare_retry' as const], samples: 2 } };
    config = asked;
    await expect(evaluateRun()).rejects.toThrow('is finished');
    const report = await evaluateRun({ resume: true });
    expect(readRecords().slice(0, before.length)).toEqual(before);
    expect(report.decodings[0]?.controls.map(({ control }) => control)).toEqual(['hint', 'bare_retry']);
    expect(report.decodings[0]?.comparisons[0]?.result).toMatchObject({ n: 60, queries: 30 });
    const started = launches;
    config = { ...asked, eval: { ...asked.eval, samples: 1, controls: [] } };
    expect((await evaluateRun({ resume: true })).decodings).toEqual(report.decodings);
    expect(launches).toBe(started);
  });
});

test('ungated, right answers are retried as well, and the report tells which were lost', async () => {
  config = { ...config, eval: { ...config.eval, modes: ['sampled'], retry: 'all', rounds: 2 } };
  const [report] = (await evaluateRun()).decodings;
  // Of 0..29, multiples of 4 are right at first (8), and of 5 after a retry: 0 and 20 stay right.
  expect(report?.arms.base?.transitions).toEqual({
    right_right: 2,
    right_wrong: 6,
    wrong_right: 4,
    wrong_wrong: 18,
  });
  const [none, one, two] = report?.arms.base?.rounds ?? [];
  expect([none?.gated.k, one?.gated.k, two?.gated.k]).toEqual([8, 12, 12]);
  expect([none?.ungated?.k, one?.ungated?.k, two?.ungated?.k]).toEqual([8, 6, 6]);
  expect(report?.comparisons.find(({ name }) => name === 'last_answer')?.result).toMatchObject({
    before: { k: 6 },
    after: { k: 15 },
  });
});

test('a baseline tries, reflects and retries by itself, beside the trained model', async () => {
  const scripted = new ScriptedLauncher({
    call: (call, worker) =>
      worker.answer(call, worker.options.model === 'big' ? episode(true) : episode(false, true)),
  });
  launcher = scripted;
  const openai = {
    base_urls: ['http://host:1/v1'],
    model: 'big',
    api_key_env: 'KEY',
    max_retries: 1,
    tools: 'native' as const,
  };
  config = {
    ...config,
    eval: { ...config.eval, modes: ['sampled'], baselines: [{ name: 'Big-72B', openai }] },
  };
  const report = await evaluateRun();
  const big = scripted.workers.filter(({ options }) => options.model === 'big');
  expect(big.map((worker) => worker.config.engine)).toEqual(
    Array(2).fill(expect.objectContaining({ name: 'openai', openai })),
  );
  const [first, overall] = report.decodings[0]?.baselines ?? [];
  expect(first?.result).toMatchObject({ before: { k: 30 }, after: { k: 0 } });
  expect(overall?.result).toMatchObject({ before: { k: 30 }, after: { k: 30 } });
});

test('an interrupted evaluation resumes without asking twice, and its report is that of an unbroken one', async () => {
  const controller = new AbortController();
  const onUpdate = (done: number) => done === 11 && controller.abort(new Error('Ctrl-C'));
  await expect(evaluateRun({ signal: controller.signal, onUpdate })).rejects.toThrow('Ctrl-C');
  const before = readRecords();
  expect(before.length).toBeGreaterThanOrEqual(11);
  expect(before.length).toBeLessThan(60);
  // A kill in the middle of an append leaves half a line.
  writeFileSync(runPaths(run).evalJournal, '{"arm":"ba', { flag: 'a' });

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

test('a model that another run trained needs no training here', async () => {
  const model = join(run, 'elsewhere', 'model');
  config = { ...config, eval: { ...config.eval, model } };
  const paths = runPaths(run);
  const data_sha = dataFingerprint(config);
  const manifest = { format: 2, rrr_version: '0', created: '', date: '2026-01-02', data_sha, stages: {} };
  writeFileSync(paths.manifest, JSON.stringify(manifest));
  const report = await evaluateRun();
  expect(report.decodings[0]?.comparisons[1]?.result).toMatchObject({
    n: 22,
    before: { k: 4 },
    after: { k: 7 },
  });
  expect(report.models.trained).toBe(model);
  expect(report.reward).toBeNull();
  expect(report.verdict.join()).toContain('another run');
  expect(readFileSync(paths.report('md'), 'utf8')).toContain('by another run');
  config = { ...config, eval: { ...config.eval, model: undefined } };
  await expect(evaluateRun()).rejects.toThrow('no finished train stage');
});

test('the report counts what the journal says', async () => {
  const report = await evaluateRun();
  const [first, second] = report.decodings[0]?.comparisons ?? [];
  expect(first?.result).toMatchObject({ n: 30, before: { k: 8 }, after: { k: 10 } });
  // Of the 22 failures, multiples of 5 are 5, 10, 15, 25; seven are even.
  expect(second?.result).toMatchObject({ n: 22, before: { k: 4 }, after: { k: 7 } });
  expect(report.versions.rrr_workers).toBeDefined();
  expect(existsSync(runPaths(run).report('html'))).toBe(true);
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
    writeFileSync(
      runPaths(run).manifest,
      JSON.stringify({ format: 2, rrr_version: '0', created: '', date: '2026-01-02', stages: {} }),
    );
    await expect(evaluateRun()).rejects.toMatchObject({ exitCode: 2, cure: 'run rrr train first' });
  });
});

test('with an endpoint both models are evaluated with vLLM, as it does not serve the trained one', async () => {
  config = { ...config, engine: { ...config.engine, name: 'openai' } };
  run = join(run, 'endpoint');
  const paths = runPaths(run);
  mkdirSync(paths.data, { recursive: true });
  writeFileSync(paths.testQueries, '{"id":"q1","index":0,"fields":{"target":1}}\n');
  writeFileSync(paths.dataSummary, JSON.stringify(data));
  for (const stage of [failures, train]) await finishStage(run, stage, config);
  writeFileSync(paths.tallies, '');
  writeFileSync(paths.trainEvents, '');
  const scripted = new ScriptedLauncher({
    call: (call, worker) => worker.answer(call, { first: attempt(true), rounds: [] }),
  });
  const notes: string[] = [];
  await executeStage(evaluate, {
    config,
    run,
    resume: false,
    signal: new AbortController().signal,
    progress: { ...silentProgress, note: (line) => void notes.push(line) },
    launcher: scripted,
  });
  expect(scripted.workers.map((worker) => worker.config.engine)).toEqual(
    Array(2).fill(expect.objectContaining({ name: 'vllm' })),
  );
  expect(notes).toEqual(['both models are evaluated with vLLM: the endpoint does not serve the trained one']);
});
