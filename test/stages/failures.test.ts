import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Config } from '../../src/config/schema.ts';
import { readManifest } from '../../src/run/manifest.ts';
import { runPaths } from '../../src/run/paths.ts';
import { silentProgress } from '../../src/run/progress.ts';
import { failuresSummary } from '../../src/run/records.ts';
import { executeStage } from '../../src/stages/execute.ts';
import { failures } from '../../src/stages/failures/stage.ts';
import { seededRandom } from '../random.ts';
import { expectGone, FakeLauncher, livingMembers, makeConfig, temporaryFolder } from '../workers/harness.ts';

const QUERIES = 60;

function job({ run = join(temporaryFolder(), 'run'), resume = false, config = makeConfig(), env = {} } = {}) {
  const controller = new AbortController();
  const launcher = new FakeLauncher(env, join(run, 'logs'));
  const options = { config, run, resume, signal: controller.signal, progress: silentProgress, launcher };
  return { controller, launcher, paths: runPaths(run), run, start: () => executeStage(failures, options) };
}

const workers = (count: number, more: Partial<Config['workers']> = {}) =>
  makeConfig({ failures: { max_draws: 6 }, workers: { count, max_in_flight: 3, ...more } });

const lines = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : []);

/** What an undisturbed run gives, made once. */
let expected: { failures: string; tallies: string } | undefined;
async function expectTheSame(paths: ReturnType<typeof runPaths>) {
  if (!expected) {
    const plain = job({ config: workers(1) });
    await plain.start();
    expected = {
      failures: readFileSync(plain.paths.failures, 'utf8'),
      tallies: readFileSync(plain.paths.tallies, 'utf8'),
    };
  }
  expect(readFileSync(paths.failures, 'utf8')).toBe(expected.failures);
  expect(readFileSync(paths.tallies, 'utf8')).toBe(expected.tallies);
}

test('failures and tallies are in the order of the data, and the summary adds up', async () => {
  const { start, paths, launcher } = job({ config: workers(3) });
  const summary = await start();
  const tallies = lines(paths.tallies).map((line) => JSON.parse(line));
  const failures = lines(paths.failures).map((line) => JSON.parse(line));
  expect(tallies.map(({ id }) => id)).toEqual(Array.from({ length: QUERIES }, (_, n) => `train-${n}`));
  expect(failures.map(({ index }) => index)).toEqual(
    failures.map(({ index }) => index).sort((a, b) => a - b),
  );
  expect(Object.keys(failures[0])).toEqual([
    'id',
    'index',
    'query',
    'draw',
    'completion',
    'kind',
    'detail',
    'tokens',
    'finish_reason',
  ]);
  const total = (key: string) => tallies.reduce((sum, tally) => sum + tally[key], 0);
  expect(summary).toMatchObject({ queries: QUERIES, kept: failures.length, draws: total('draws') });
  expect(summary.kinds).toEqual({ missed_target: failures.length, passed: total('passed') });
  expect(summary.kept).toBeGreaterThan(10);
  expect(summary.kept).toBeLessThan(QUERIES);
  expect(failuresSummary.parse(JSON.parse(readFileSync(paths.failuresSummary, 'utf8')))).toEqual(summary);
  expect(readManifest(paths)).toMatchObject({ prompts: { question: '?', system: null } });
  await expectTheSame(paths);
  await expectGone(launcher.launched);
});

test('rows that are dropped are counted aloud', async () => {
  const run = join(temporaryFolder(), 'run');
  const launcher = new FakeLauncher({ FAKE_DUPLICATES: '7' }, join(run, 'logs'));
  const notes: string[] = [];
  const progress = { ...silentProgress, note: (line: string) => void notes.push(line) };
  const { signal } = new AbortController();
  await executeStage(failures, { config: workers(1), run, resume: false, signal, progress, launcher });
  expect(notes).toContain('dropped 7 rows that are there already');
});

test('kills of workers and interruptions change nothing, and no finished query is sampled again', async () => {
  const run = join(temporaryFolder(), 'run');
  const calls = join(temporaryFolder(), 'calls');
  const config = workers(3, { max_restarts: 20 });
  const env = { FAKE_CALLS: calls, FAKE_DELAY_S: '0.05' };
  const random = seededRandom();
  let killed = 0;
  for (let attempt = 0; ; attempt++) {
    const { start, controller, launcher, paths } = job({ run, resume: attempt > 0, config, env });
    const journalled = lines(paths.failuresJournal).map((line) => JSON.parse(line).id);
    const before = lines(calls).length;
    const work = start();
    let over = false;
    const ended = work
      .catch((error) => error)
      .finally(() => {
        over = true;
      });
    // A call that is in three lost workers counts as their cause, so it must not be three kills an attempt.
    let kills = 2;
    const interruptAt = attempt < 3 ? 15 * (attempt + 1) : Number.POSITIVE_INFINITY;
    while (!over) {
      await sleep(40 + 60 * random());
      const samplers = launcher.launched.slice(1);
      const victim = samplers[Math.floor(random() * samplers.length)]?.pid;
      // The guardian, or its worker with all that is in flight.
      const members = victim === undefined ? [] : livingMembers(victim);
      const pid = members[Math.floor(random() * members.length)];
      if (pid !== undefined && kills > 0 && random() < 0.3) {
        kills--;
        killed++;
        process.kill(pid, random() < 0.2 ? 'SIGTERM' : 'SIGKILL');
      }
      if (lines(paths.failuresJournal).length >= interruptAt) controller.abort(new Error('interrupted'));
    }
    const outcome = await ended;
    await expectGone(launcher.launched);
    expect(
      lines(calls)
        .slice(before)
        .filter((id) => journalled.includes(id)),
    ).toEqual([]);
    if (!(outcome instanceof Error)) break;
    expect(outcome.message).toBe('interrupted');
    expect(existsSync(paths.failures)).toBe(false);
  }
  expect(killed).toBeGreaterThan(0);
  await expectTheSame(runPaths(run));
});

test('a finished build is not done again', async () => {
  const first = job({ config: workers(1) });
  const summary = await first.start();
  await expect(job({ run: first.run, config: workers(1) }).start()).rejects.toMatchObject({ exitCode: 2 });
  const again = job({ run: first.run, config: workers(1), resume: true });
  await expect(again.start()).resolves.toEqual(summary);
  expect(again.launcher.launched).toEqual([]);
});

test('a query that kills every worker is named, the others are done, and --resume tries it again', async () => {
  const config = workers(2);
  const { run, start, paths } = job({ config, env: { FAKE_POISON: '30' } });
  await expect(start()).rejects.toMatchObject({
    exitCode: 1,
    message: "1 of the queries can't be sampled; all others are done",
  });
  expect(lines(paths.failuresJournal)).toHaveLength(QUERIES - 1);
  await job({ run, config, resume: true }).start();
  await expectTheSame(paths);
});

test('a worker that cannot start fails the stage with its own words', async () => {
  const { start, paths } = job({ env: { FAKE_START: 'user' } });
  await expect(start()).rejects.toMatchObject({ exitCode: 2, message: 'no such model' });
  expect(readManifest(paths)?.stages.failures?.status).toBe('failed');
});
