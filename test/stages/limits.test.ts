/** What stages make of calls that fail and of queries without a draw, with scripted workers. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { FailuresResult } from '../../src/protocol/methods.ts';
import { readManifest } from '../../src/run/manifest.ts';
import { runPaths } from '../../src/run/paths.ts';
import { silentProgress } from '../../src/run/progress.ts';
import { executeStage } from '../../src/stages/execute.ts';
import { failures } from '../../src/stages/failures/stage.ts';
import type { Stage } from '../../src/stages/stage.ts';
import { train } from '../../src/stages/train/stage.ts';
import { attempt } from '../report/fixture.ts';
import { makeConfig, temporaryFolder } from '../workers/harness.ts';
import { type Call, type Script, ScriptedLauncher } from '../workers/scripted.ts';
import { finishStage } from './finish-stage.ts';

const QUERIES = 30;
const config = makeConfig({
  failures: { max_draws: 4 },
  workers: { count: 2, max_in_flight: 3, max_restarts: 100 },
  train: { max_restarts: 2 },
});

function execute<Summary>(
  stage: Stage<Summary>,
  script: Script,
  { run = join(temporaryFolder(), 'run'), seed = 0, note = (_line: string): void => {} } = {},
) {
  const launcher = new ScriptedLauncher(script);
  const { signal } = new AbortController();
  const request = {
    config: { ...config, seed },
    run,
    resume: false,
    signal,
    progress: { ...silentProgress, note },
    launcher,
  };
  return { launcher, paths: runPaths(run), outcome: executeStage(stage, request) };
}

const drawn = (draws: number, passed: number): FailuresResult => ({
  draws,
  wasted_draws: 0,
  prompt_tokens: 5,
  completion_tokens: 3,
  kinds: { ...(passed > 0 && { passed }), ...(passed < draws && { missed_target: draws - passed }) },
  failures: passed < draws ? [{ ...attempt(false), draw: passed }] : [],
  left_out: null,
});
const leftOut = (kind: 'prompt_too_long' | 'refused'): FailuresResult => ({
  ...drawn(0, 0),
  left_out: { kind, message: `http://here/v1 says: ${kind}` },
});
const TOO_LONG = leftOut('prompt_too_long');
const REFUSED = leftOut('refused');
const PASSED = drawn(4, 4);
const FAILED = drawn(1, 0);

/** `sample` gives the result of the query with this index; null: it ends its worker. */
const build = (sample: (index: number) => FailuresResult | null) =>
  execute(failures, {
    call: (call, worker) => {
      if (call.method === 'prepare') return worker.answer(call, prepare(call));
      const result = sample((call.params.query as { index: number }).index);
      if (result) worker.answer(call, result);
      else worker.exit('exit code 9');
    },
  });

function prepare({ params }: Call, splits = {}) {
  const folder = params.output as string;
  mkdirSync(folder, { recursive: true });
  const rows = Array.from({ length: QUERIES }, (_, index) => ({ id: `q${index}`, index, fields: {} }));
  writeFileSync(join(folder, 'train.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const counts = { read: QUERIES + 1, train: QUERIES, test: 1, unused: 0, duplicates: 0, skipped: 0 };
  return { ...counts, ...splits, skipped_examples: [], prompts: {} };
}

const lines = (path: string) =>
  readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));

test('ten queries that end every worker leave all others done', async () => {
  const { outcome, paths } = build((index) => (index < 10 ? null : PASSED));
  await expect(outcome).rejects.toMatchObject({
    message: "10 of the queries can't be sampled; all others are done",
    details: [expect.stringContaining('the same sample_failures call ended 3 workers')],
    cure: '--resume tries them again',
  });
  expect(lines(paths.failuresJournal)).toHaveLength(QUERIES - 10);
});

test('at the eleventh the queries are not the cause: the stage ends', async () => {
  const { outcome, paths } = build((index) => (index < 11 ? null : PASSED));
  await expect(outcome).rejects.toThrow('the same sample_failures call ended 3 workers');
  expect(existsSync(paths.failures)).toBe(false);
});

test('a query without a draw is counted, and says nothing of the pass rate', async () => {
  const { outcome, paths } = build((index) => [TOO_LONG, PASSED, FAILED][index % 3] as FailuresResult);
  const kinds = { missed_target: 10, passed: 40 };
  const summary = { queries: 30, kept: 10, failures: 10, too_long: 10, draws: 50, pass_rate: 0.5, kinds };
  await expect(outcome).resolves.toMatchObject(summary);
  const rates = lines(paths.tallies).map(({ pass_rate }) => pass_rate);
  expect(rates.slice(0, 3)).toEqual([null, 1, 0]);
});

test('when no query has a draw the model is too small for the task', async () => {
  const { outcome, paths } = build(() => TOO_LONG);
  await expect(outcome).rejects.toMatchObject({
    exitCode: 2,
    message: 'no query fits model.max_model_len 4096',
  });
  expect(existsSync(paths.failuresSummary)).toBe(false);
});

test('when one query has a draw the others are left out', async () => {
  const { outcome } = build((index) => (index === 29 ? FAILED : TOO_LONG));
  await expect(outcome).resolves.toMatchObject({ queries: 30, kept: 1, too_long: 29, pass_rate: 0 });
});

test('queries that the endpoint refuses are left out and counted', async () => {
  const { outcome } = build((index) => (index % 3 === 0 ? REFUSED : FAILED));
  await expect(outcome).resolves.toMatchObject({
    queries: 30,
    kept: 20,
    too_long: 0,
    refused: 10,
    draws: 20,
  });
});

test('an endpoint that refuses query after query ends the stage before it leaves all of them out', async () => {
  const { outcome, paths } = build(() => REFUSED);
  await expect(outcome).rejects.toMatchObject({
    exitCode: 2,
    message: expect.stringMatching(
      /^every query so far was refused, at last query q\d+: http:\/\/here\/v1 says/,
    ),
  });
  expect(lines(paths.failuresJournal)).toHaveLength(10);
});

test('a sampler is told the query and the whole section on failures', async () => {
  const { outcome, launcher, paths } = build(() => PASSED);
  await outcome;
  const [question, ...calls] = launcher.calls;
  expect(question?.method).toBe('prepare');
  expect(calls.map(({ params }) => params)).toContainEqual({
    query: { id: 'q7', index: 7, fields: {} },
    max_draws: 4,
    failures_per_query: 1,
    keep: 'any',
  });
  const date = readManifest(paths)?.date;
  expect(date).toMatch(/^\d{4}-\d\d-\d\d$/);
  expect(launcher.workers.map(({ request, options }) => [request.module, options])).toEqual([
    ['rrr_workers.roles.prepare', {}],
    ['rrr_workers.roles.sampler', { model: '/nowhere', index: 0, date }],
    ['rrr_workers.roles.sampler', { model: '/nowhere', index: 1, date }],
  ]);
});

test('a run that goes on another day keeps its date, and what template and task do is noted once', async () => {
  const run = join(temporaryFolder(), 'run');
  mkdirSync(run);
  const manifest = { format: 2, rrr_version: '0', created: '', date: '2001-02-03', stages: {} };
  writeFileSync(runPaths(run).manifest, JSON.stringify(manifest));
  const notes: string[] = [];
  const { outcome, launcher } = execute(
    failures,
    {
      start: (worker) =>
        worker.ready({ chat_template: ['it adds the date'], task_notes: ['calls are read as hermes: why'] }),
      call: (call, worker) => worker.answer(call, call.method === 'prepare' ? prepare(call) : PASSED),
    },
    { run, note: (line) => void notes.push(line) },
  );
  await outcome;
  expect(launcher.workers.slice(1).map(({ options }) => options.date)).toEqual(['2001-02-03', '2001-02-03']);
  expect(notes).toEqual(['the chat template of /nowhere: it adds the date', 'calls are read as hermes: why']);
});

test('data is prepared again only for another seed, task or data section', async () => {
  const run = join(temporaryFolder(), 'run');
  const noModel: Script = {
    start: (worker) =>
      worker.options.model ? worker.giveUp({ type: 'user', message: 'no model' }) : worker.ready(),
    call: (call, worker) => worker.answer(call, prepare(call)),
  };
  const asked: string[][] = [];
  for (const seed of [0, 0, 7, 7]) {
    const { outcome, launcher } = execute(failures, noModel, { run, seed });
    await expect(outcome).rejects.toThrow('no model');
    asked.push(launcher.calls.map(({ method }) => method));
  }
  expect(asked).toEqual([['prepare'], [], ['prepare'], []]);
});

test.each(['train', 'test'])('without a row in the %s split there is no run', async (split) => {
  const { outcome, launcher } = execute(failures, {
    call: (call, worker) => worker.answer(call, prepare(call, { [split]: 0 })),
  });
  await expect(outcome).rejects.toMatchObject({
    exitCode: 2,
    message: `the ${split} split is empty: none of ${QUERIES + 1} rows is in it`,
  });
  expect(launcher.workers).toHaveLength(1);
});

/** Trains after failures that were kept. */
async function trainAfterFailures(script: Script) {
  const run = join(temporaryFolder(), 'run');
  const counts = { queries: 1, kept: 1, failures: 1, too_long: 0, draws: 1, wasted_draws: 0 };
  const summary = { ...counts, pass_rate: 0, kinds: {}, prompt_tokens: 1, completion_tokens: 1 };
  await finishStage(run, failures, config, (paths) =>
    writeFileSync(paths.failuresSummary, JSON.stringify(summary)),
  );
  return execute(train, script, { run });
}

test.each<[string, Script['call'], number]>([
  [
    'an error that says so',
    (call, worker) => worker.fail(call, { type: 'call', message: 'it ended', retryable: true }),
    3,
  ],
  ['a death without a word', (_call, worker) => worker.exit('it ended'), 3],
  ['an error', (call, worker) => worker.fail(call, { type: 'call', message: 'it ended' }), 1],
  ['a last word', (_call, worker) => worker.giveUp({ type: 'worker', message: 'it ended' }), 1],
])('%s: how often a trainer is started', async (_name, call, starts) => {
  const { outcome, launcher } = await trainAfterFailures({ call: (made, worker) => call?.(made, worker) });
  await expect(outcome).rejects.toThrow('it ended');
  expect(launcher.workers).toHaveLength(starts);
  expect(launcher.calls.map(({ params }) => params.resume)).toEqual([false, true, true].slice(0, starts));
});

test('a trainer that stops unasked has not finished', async () => {
  const { outcome } = await trainAfterFailures({
    call: (call, worker) => worker.answer(call, { step: 3, stopped: true, model: null }),
  });
  await expect(outcome).rejects.toThrow('the trainer stopped unasked at step 3');
});
