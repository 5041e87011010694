import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Config } from '../../src/config/schema.ts';
import { type TrainEvent, trainEvent } from '../../src/protocol/methods.ts';
import { runPaths } from '../../src/run/paths.ts';
import { type ProgressUpdate, silentProgress } from '../../src/run/progress.ts';
import { rrrCommit, rrrVersion } from '../../src/run/rrr-version.ts';
import { executeStage } from '../../src/stages/execute.ts';
import { failures } from '../../src/stages/failures/stage.ts';
import { train } from '../../src/stages/train/stage.ts';
import { expectGone, FakeLauncher, makeConfig, temporaryFolder } from '../workers/harness.ts';
import { finishStage } from './finish-stage.ts';

const STEPS = 10;

/** A run whose failures stage is finished. */
async function runWithFailures(kept = 5): Promise<string> {
  const run = join(temporaryFolder(), 'run');
  const counts = {
    queries: 9,
    kept,
    failures: kept,
    too_long: 0,
    draws: 9,
    wasted_draws: 0,
    prompt_tokens: 1,
    completion_tokens: 1,
  };
  await finishStage(run, failures, makeConfig(), ({ failuresSummary }) =>
    writeFileSync(failuresSummary, JSON.stringify({ ...counts, pass_rate: null, kinds: {} })),
  );
  return run;
}

interface JobOptions {
  env?: NodeJS.ProcessEnv;
  resume?: boolean;
  timeout?: number;
  maxRestarts?: number;
  options?: Record<string, unknown>;
  train?: Partial<Config['train']>;
}

function job(
  run: string,
  { env = {}, resume = false, timeout = 20, maxRestarts = 2, ...rest }: JobOptions = {},
) {
  const controller = new AbortController();
  const launcher = new FakeLauncher(env, join(run, 'logs'));
  const notes: string[] = [];
  const config = makeConfig({
    train: {
      steps: STEPS,
      checkpoint_every: 4,
      max_restarts: maxRestarts,
      step_timeout_s: timeout,
      ...rest.train,
    },
  });
  const counters: string[][] = [];
  const progress = {
    ...silentProgress,
    note: (line: string) => void notes.push(line),
    update: (update: ProgressUpdate) => void counters.push(Object.keys(update.counters ?? {})),
  };
  const { signal } = controller;
  const request = { config, run, resume, options: rest.options ?? {}, signal, progress, launcher };
  return {
    controller,
    launcher,
    notes,
    counters,
    paths: runPaths(run),
    start: () => executeStage(train, request),
  };
}

function readEvents(run: string): TrainEvent[] {
  const path = runPaths(run).trainEvents;
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => trainEvent.parse(JSON.parse(line)));
}

/** What was told, but for how often it was resumed and for paths. */
const told = (run: string) =>
  readEvents(run)
    .filter(({ kind }) => kind !== 'resumed')
    .map((event) => ('path' in event ? { ...event, path: '' } : event));
const steps = (run: string) =>
  readEvents(run).flatMap((event) => (event.kind === 'step' ? [event.step] : []));
const allSteps = Array.from({ length: STEPS }, (_, number) => number + 1);

test('training streams its events and ends with the model', async () => {
  const run = await runWithFailures();
  const { start, launcher, counters } = job(run);
  await expect(start()).resolves.toEqual({
    steps: STEPS,
    restarts: 0,
    second_try: { before: 1 / 8, after: STEPS / 8 },
    kl: STEPS / 8,
    max_logprob_difference: STEPS / 8,
    rrr: { version: rrrVersion(), commit: rrrCommit() },
  });
  expect(steps(run)).toEqual(allSteps);
  // The mean reward is that of the second tries, also where it is shuffled: one number is enough.
  expect(counters.at(-1)).toEqual(['second try', 'kl', 'tokens', 'log-prob gap', 'tokens/s']);
  expect(
    readEvents(run)
      .map(({ kind }) => kind)
      .slice(0, 6),
  ).toEqual(['self_check', 'step', 'step', 'step', 'step', 'checkpoint']);
  await expectGone(launcher.launched);
});

test.each([
  [{}, { ranks: 'gpus', devices: undefined }],
  [{ devices: ['2', '3'] }, { ranks: 2, devices: '2,3' }],
  [{ processes: 4 }, { ranks: 4, devices: undefined }],
])('with %j it is launched as %j', async (settings, asked) => {
  const { start, launcher } = job(await runWithFailures(), { train: settings });
  await start();
  expect(launcher.requests).toEqual([expect.objectContaining(asked)]);
});

test('what is said of an adapter is noted', async () => {
  const { start, notes } = job(await runWithFailures(), { env: { FAKE_LORA: '1' } });
  await start();
  expect(notes).toEqual([
    'LoRA: 14 modules, 2.5 % of 4000 parameters are trained',
    "LoRA: merging has moved the base's weights by 1.0e-9 (rms)",
  ]);
});

test.each([undefined, true])('--accept-versions %s reaches the trainer', async (acceptVersions) => {
  const run = await runWithFailures();
  await job(run, { options: { acceptVersions } }).start();
  const told = JSON.parse(readFileSync(join(run, 'train/params.json'), 'utf8'));
  expect(told.accept_versions).toBe(acceptVersions ?? false);
});

test('a crashed trainer goes on from its last checkpoint, and tells every step once', async () => {
  const unbroken = await runWithFailures();
  await job(unbroken).start();
  const run = await runWithFailures();
  const { start, notes } = job(run, { env: { FAKE_CRASH_AT: '3 7 10' }, maxRestarts: 1 });
  await expect(start()).resolves.toMatchObject({ steps: STEPS, restarts: 3 });
  expect(told(run)).toEqual(told(unbroken));
  expect(readEvents(run).filter(({ kind }) => kind === 'resumed')).toHaveLength(2);
  expect(notes.filter((line) => line.includes('starting it again (1 of 1)'))).toHaveLength(3);
});

test('a trainer that crashes at the same step again and again is given up', async () => {
  const run = await runWithFailures();
  const { start, launcher, paths } = job(run, { env: { FAKE_CRASH_ALWAYS: '1' } });
  await expect(start()).rejects.toThrow('trainer: killed by SIGKILL');
  expect(launcher.launched).toHaveLength(3);
  expect(existsSync(paths.trainSummary)).toBe(false);
});

test('weights out of sync end the run at once', async () => {
  const run = await runWithFailures();
  const { start, launcher } = job(run, { env: { FAKE_SYNC_BROKEN: '1' } });
  await expect(start()).rejects.toMatchObject({
    exitCode: 1,
    message: 'weights out of sync',
    cure: 'look at the engine',
  });
  expect(launcher.launched).toHaveLength(1);
});

test('a step that takes too long is taken for a hang', async () => {
  const run = await runWithFailures();
  const { start, launcher } = job(run, { env: { FAKE_DELAY_S: '30' }, timeout: 0.5, maxRestarts: 1 });
  await expect(start()).rejects.toThrow('trainer: no answer to train within 0.5 s');
  expect(launcher.launched).toHaveLength(2);
  await expectGone(launcher.launched);
});

test('an interrupted training checkpoints, and --resume ends with the events of an unbroken one', async () => {
  const run = await runWithFailures();
  const first = job(run, { env: { FAKE_DELAY_S: '0.2' } });
  const work = first.start();
  const outcome = work.catch((error) => error);
  await expect.poll(() => steps(run).length, { timeout: 20_000 }).toBeGreaterThan(1);
  first.controller.abort(new Error('interrupted'));
  expect(await outcome).toMatchObject({ message: 'interrupted' });
  const reached = steps(run).length;
  expect(reached).toBeLessThan(STEPS);
  expect(readEvents(run).at(-1)).toMatchObject({ kind: 'checkpoint', step: reached });
  await expectGone(first.launcher.launched);
  await expect(job(run, { resume: true }).start()).resolves.toMatchObject({ steps: STEPS });
  expect(steps(run)).toEqual(allSteps);
  expect(readEvents(run).filter(({ kind }) => kind === 'resumed')).toMatchObject([{ step: reached }]);
});

test('without a failure there is nothing to train on', async () => {
  const run = await runWithFailures(0);
  await expect(job(run).start()).rejects.toMatchObject({ exitCode: 2, message: /nothing to train on/ });
});

test('without the failures stage the error says what to run', async () => {
  const run = join(temporaryFolder(), 'run');
  mkdirSync(run);
  await expect(job(run).start()).rejects.toMatchObject({ exitCode: 2, cure: 'run rrr build-failures first' });
});
