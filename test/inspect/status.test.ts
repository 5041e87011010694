/** `rrr status` and `rrr logs` as another terminal runs them, on runs whose workers are fake_worker.py. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { RunStatus } from '../../src/inspect/status.ts';
import { runPaths } from '../../src/run/paths.ts';
import { silentProgress } from '../../src/run/progress.ts';
import { RecordedProgress } from '../../src/run/recorded-progress.ts';
import { readStatusFile } from '../../src/run/status-file.ts';
import { makeFakeHome } from '../fixtures/fake-home.ts';
import { episode, step } from '../report/fixture.ts';
import { expectGone, temporaryFolder } from '../workers/harness.ts';

const QUERIES = 60;

/** A folder with a config, and the command line whose Python puts the fake in the place of every worker. */
function makeHome() {
  const { cwd, start } = makeFakeHome({ model: 'model' });
  const status = async (): Promise<RunStatus> =>
    JSON.parse((await start(['status', 'runs/a', '--json'])).stdout);
  return { cwd, paths: runPaths(join(cwd, 'runs/a')), start, status };
}

const sum = (kinds: Record<string, number>) =>
  Object.values(kinds).reduce((total, count) => total + count, 0);

test('while it runs, after kill -9, and when it is finished', { timeout: 120_000 }, async () => {
  const { cwd, start, status, paths } = makeHome();
  // The second half waits for as long as there is a config: the run can't end before the worker is there again.
  const build = start(['build-failures', '-c', 'a.yaml'], {
    FAKE_DELAY_S: '0.25',
    FAKE_HOLD: join(cwd, 'a.yaml'),
  });
  onTestFinished(() => void build.kill('SIGKILL'));
  const until = (check: (now: RunStatus) => void) =>
    vi.waitFor(
      async () => {
        const now = await status();
        check(now);
        return now;
      },
      { timeout: 30_000, interval: 100 },
    );

  const running = await until(({ phase }) => {
    expect(phase?.name).toBe('sampling');
    expect(phase?.done).toBeGreaterThan(2);
    expect(phase?.rate_per_s).not.toBe(null);
  });
  expect(running).toMatchObject({
    state: 'running',
    process: { pid: build.pid },
    phase: { total: QUERIES, before: 0 },
    stages: [{ stage: 'failures', status: 'running', attempts: 1, total: QUERIES }],
    workers: [
      { name: 'prepare', state: 'ended', restarts: 0, lost: null },
      { name: 'sampler-0', restarts: 0 },
      { name: 'sampler-1', restarts: 0 },
    ],
  });
  const { phase, stages } = running;
  expect(stages[0]?.done).toBeGreaterThanOrEqual(phase?.done ?? Infinity); // the journal is ahead of the status file
  expect(stages[0]?.done).toBeLessThan(QUERIES);
  expect(sum(stages[0]?.kinds ?? {})).toBeGreaterThan(2);
  // Two workers that hold two queries each, for a quarter of a second: 16 a second, or more in a short while.
  expect(phase?.rate_per_s).toBeGreaterThan(0.2);
  expect(phase?.rate_per_s).toBeLessThan(30);
  expect(phase?.eta_s).toBeCloseTo((QUERIES - (phase?.done ?? 0)) / (phase?.rate_per_s ?? 0), 3);

  const follower = start(['logs', 'runs/a', '--follow', '--lines', '1']);
  let followed = '';
  follower.stdout.on('data', (chunk) => {
    followed += chunk;
  });
  await vi.waitFor(() => expect(followed).not.toBe(''), { timeout: 10_000 });
  process.kill(-samplerGroup(paths.workerEvents), 'SIGKILL');
  const restarted = await until(({ workers }) =>
    expect(workers[1]).toMatchObject({ state: 'ready', restarts: 1, lost: 'killed by SIGKILL' }),
  );
  expect(restarted.workers[2]).toMatchObject({ state: 'ready', restarts: 0, lost: null });
  expect((await start(['status', 'runs/a'])).stdout).toMatch(
    /sampler-0 +ready, 1 restart, last lost: killed by SIGKILL/,
  );
  follower.kill('SIGINT');
  expect(await follower).toMatchObject({ exitCode: 0, stderr: '' });
  expect(followed).toMatch(
    /^\d{4}-\d\d-\d\d [\d:]+ {2}error {2}sampler-0 {2}worker lost {2}reason="killed by SIGKILL"$/m,
  );

  build.kill('SIGKILL');
  await build;
  const killed = await status();
  expect(killed).toMatchObject({ state: 'killed', process: null, stages: [{ status: 'killed' }] });
  expect(killed.workers.map(({ state }) => state)).toEqual(['ended', 'ended', 'ended']);
  expect(killed.phase?.name).toBe('sampling');
  const text = (await start(['status', 'runs/a'])).stdout;
  expect(text).toContain('runs/a: was killed; --resume goes on');
  expect(text).toMatch(/^ +last report: sampling, [\d.]+ s ago$/m);
  expect(text).toMatch(/^failures +killed, \d+\/60 queries$/m);
  await expectGone(groups(paths.workerEvents), 12_000);

  expect((await start(['build-failures', '-c', 'a.yaml', '--resume'])).exitCode).toBe(0);
  const summary = JSON.parse(readFileSync(paths.failuresSummary, 'utf8'));
  expect(await status()).toMatchObject({
    state: 'finished',
    process: null,
    phase: null,
    stages: [{ status: 'finished', attempts: 2, done: QUERIES, total: QUERIES, kinds: summary.kinds }],
  });
});

const started = (events: string) =>
  readFileSync(events, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter(({ event }) => event === 'started');
const groups = (events: string) => started(events).map(({ pid }) => ({ pid }));
const samplerGroup = (events: string): number =>
  started(events).findLast(({ worker }) => worker === 'sampler-0').pid;

test('--watch: what is new, over all stages of a command, until it ends', { timeout: 120_000 }, async () => {
  const { start, paths } = makeHome();
  const run = start(['run', '-c', 'a.yaml', '--set', 'train.steps=6'], { FAKE_DELAY_S: '0.1' });
  onTestFinished(() => void run.kill('SIGKILL'));
  await vi.waitFor(() => expect(readStatusFile(paths.status)).toBeDefined(), { timeout: 30_000 });
  const watch = (...args: string[]) => start(['status', 'runs/a', '--watch', ...args]);
  const interrupted = watch();
  const [text, json] = await Promise.all([
    watch(),
    watch('--json'),
    vi
      .waitFor(() => expect(readStatusFile(paths.status)?.phase).toBe('training'), { timeout: 60_000 })
      .then(() => {
        interrupted.kill('SIGINT');
      }),
  ]);
  expect(await interrupted).toMatchObject({
    exitCode: 0,
    stderr: '',
    stdout: expect.stringMatching(/^run +runs\/a: running, process \d+/),
  });
  expect((await run).exitCode).toBe(0);
  expect([text.exitCode, text.stderr, json.exitCode, json.stderr]).toEqual([0, '', 0, '']);
  const shown: RunStatus[] = json.stdout.split('\n').map((line) => JSON.parse(line));
  expect(shown.map(({ state }) => state)).toEqual([...shown.slice(1).map(() => 'running'), 'finished']);
  expect(new Set(shown.flatMap(({ stages }) => stages.map(({ stage }) => stage))).size).toBe(3);
  const unlike = shown.map((status) => JSON.stringify(status));
  expect(new Set(unlike).size).toBe(unlike.length);
  const blocks = text.stdout.split('\n\n');
  expect(blocks.length).toBeGreaterThan(2);
  expect(blocks.at(-1)).toMatch(/^run +runs\/a: finished$/m);
});

test('a failed run says so and where to look', { timeout: 60_000 }, async () => {
  const { start, status } = makeHome();
  const failed = await start(['build-failures', '-c', 'a.yaml'], { FAKE_START: 'user' });
  expect(failed.exitCode).toBe(2);
  expect(await status()).toMatchObject({ state: 'failed', phase: null });
  expect((await start(['status', 'runs/a'])).stdout).toMatch(/why: .*dist\/main\.js logs runs\/a$/);
  expect((await start(['logs', 'runs/a'])).stdout).toContain('no such model');
});

test('training and evaluation are counted from what is on disk', async () => {
  const { start, status, paths } = makeHome();
  const write = (path: string, ...lines: unknown[]) =>
    writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  for (const stage of ['train', 'eval']) mkdirSync(paths.stage(stage), { recursive: true });
  const stage = { config_sha: '', started: '', finished: null, attempts: 1, seconds: 90 };
  const stages = { train: { ...stage, status: 'finished' }, eval: { ...stage, status: 'interrupted' } };
  write(paths.manifest, { format: 2, rrr_version: '1', created: '', date: '2026-01-02', stages });
  write(paths.stageConfig('train'), { train: { steps: 5 } });
  write(paths.trainEvents, { kind: 'self_check', inside: 1, outside: 0 }, step(1, 0.5), step(2, 0.5));
  const record = { decoding: 'sampled', id: 'a' };
  write(
    paths.evalJournal,
    { ...record, arm: 'base', episode: episode(true) },
    { ...record, arm: 'base', episode: episode(false, false) },
    { ...record, arm: 'trained_on_base', episode: episode(null, true) },
  );
  expect(await status()).toMatchObject({
    state: 'interrupted',
    stages: [
      { stage: 'train', done: 2, total: 5, kinds: {} },
      { stage: 'eval', done: 3, total: null, kinds: { 'base passed': 1, 'base missed_target': 1 } },
    ],
  });
  const text = (await start(['status', 'runs/a'])).stdout;
  expect(text.split('\n')).toEqual([
    'run    runs/a: interrupted; --resume goes on',
    'train  finished, 2/5 steps, 1 min 30 s',
    'eval   interrupted, 3 episodes, 1 min 30 s',
    '       first tries base passed 1',
    '       first tries base missed_target 1',
  ]);
});

test("logs: the last lines, a worker's last attempt, and JSON", async () => {
  const { start, paths } = makeHome();
  mkdirSync(paths.logs, { recursive: true });
  const time = Date.UTC(2026, 0, 2, 3, 4, 5);
  const line = (msg: string) => JSON.stringify({ level: 40, time, rrr: 1, msg, how: 'so' });
  writeFileSync(paths.log, `${line('one')}\n${line('two')}\n{"level":40,"ti`);
  for (const attempt of [1, 2, 10])
    writeFileSync(join(paths.logs, `sampler-0.${attempt}.stderr`), `attempt ${attempt}\nlast words`);
  const logs = async (...args: string[]) => (await start(['logs', 'runs/a', ...args], { TZ: 'UTC' })).stdout;

  const two = '2026-01-02 03:04:05  warn   two  how="so"';
  expect(await logs()).toBe(`${two.replace('two', 'one')}\n${two}\n{"level":40,"ti`);
  expect(await logs('--lines', '2')).toBe(`${two}\n{"level":40,"ti`);
  expect((await logs('--json')).split('\n').map((text) => JSON.parse(text).msg)).toEqual(['one', 'two']);
  expect(await logs('--worker', 'sampler-0')).toBe('attempt 10\nlast words');
  expect(await logs('--worker', 'sampler-0', '--lines', '1', '--json')).toBe(
    '{"worker":"sampler-0","line":"last words"}',
  );

  const follower = start(['logs', 'runs/a', '--worker', 'sampler-0', '--lines', '1', '--follow']);
  let followed = '';
  follower.stdout.on('data', (chunk) => {
    followed += chunk;
  });
  const sees = (text: string) => vi.waitFor(() => expect(followed).toBe(text), { timeout: 10_000 });
  await sees('attempt 10\n');
  writeFileSync(join(paths.logs, 'sampler-0.11.stderr'), 'again\n');
  await sees('attempt 10\nlast words\nagain\n');
  follower.kill('SIGTERM');
  expect((await follower).exitCode).toBe(0);

  const wrong = await start(['logs', 'runs/a', '--worker', 'sampler-7']);
  expect(wrong).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('cure: name one of sampler-0'),
  });
});

test.each(['status', 'logs'])('%s of what is no run', async (command) => {
  const { start } = makeHome();
  const { exitCode, stderr } = await start([command, '.']);
  expect(exitCode).toBe(2);
  expect(stderr).toContain('is no run directory');
  expect(stderr).toContain('cure: name the directory');
});

test('the status file is written at once, then at most once a second, and never fails a run', () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const folder = temporaryFolder();
  const path = join(folder, 'status.json');
  const progress = new RecordedProgress(silentProgress, path);
  const written = () => readStatusFile(path)?.done;
  progress.start('sampling', 100, 20);
  expect(written()).toBe(20);
  const seen = [30, 40, 50, 60, 70].map((done) => {
    progress.update({ done, total: 100 });
    vi.advanceTimersByTime(500);
    return written();
  });
  expect(seen).toEqual([20, 40, 40, 60, 60]);
  progress.finish();
  expect(written()).toBe(70);
  expect(() => new RecordedProgress(silentProgress, join(folder, 'none', 'x')).start('a', 1)).not.toThrow();
});
