import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { LocalLauncher } from '../../src/launch/local.ts';
import { FailedCallError } from '../../src/workers/errors.ts';
import type { WorkerPool } from '../../src/workers/pool.ts';
import { expectGone, FakeLauncher, makePool, temporaryFolder } from './harness.ts';

const never = new AbortController().signal;

interface Echo {
  pid: number;
  index: number;
}
const echo = (pool: WorkerPool, params = {}) => pool.call('echo', params) as Promise<Echo>;

async function startedPool(launcher: FakeLauncher, options: Parameters<typeof makePool>[1] = {}) {
  const pool = makePool(launcher, options);
  await pool.start(never);
  return pool;
}

/** The pool goes on as soon as one worker is ready; this waits until `count` answer. */
async function allReady(pool: WorkerPool, count: number): Promise<number[]> {
  const pids = new Set<number>();
  while (pids.size < count) {
    const echoes = await Promise.all(Array.from({ length: 2 * count }, () => echo(pool, { seconds: 0.05 })));
    for (const { pid } of echoes) pids.add(pid);
  }
  return [...pids];
}

test('calls go to the worker with the least to do, and none holds more than its limit', async () => {
  const pool = await startedPool(new FakeLauncher(), { count: 2, maxInFlight: 2 });
  await allReady(pool, 2);
  const started = Date.now();
  const answers = await Promise.all(Array.from({ length: 6 }, () => echo(pool, { seconds: 0.4 })));
  // Four at once, then two.
  expect(Date.now() - started).toBeGreaterThanOrEqual(800);
  expect(
    answers
      .slice(0, 4)
      .map(({ index }) => index)
      .sort(),
  ).toEqual([0, 0, 1, 1]);
  await pool.stop();
});

test('what a killed worker owed is answered by another one, and the worker comes back', async () => {
  const launcher = new FakeLauncher();
  const notes: string[] = [];
  const pool = await startedPool(launcher, { note: (line) => notes.push(line) });
  const [victim] = await allReady(pool, 2);
  const calls = Array.from({ length: 8 }, (_, number) => pool.call('echo', { number, seconds: 0.5 }));
  await sleep(100);
  process.kill(victim as number, 'SIGKILL');
  const answers = (await Promise.all(calls)) as (Echo & { number: number })[];
  expect(answers.map(({ number }) => number)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(answers.every(({ pid }) => pid !== victim)).toBe(true);
  expect(notes).toEqual([
    expect.stringMatching(/^fake-\d: killed by SIGKILL; starting it again \(1 of 3\)$/),
  ]);
  await allReady(pool, 2);
  expect(pool.restarts).toBe(1);
  await pool.stop();
  await expectGone(launcher.launched);
});

test('a hung call is asked again in a new worker, and those beside it lose nothing', async () => {
  const launcher = new FakeLauncher();
  const pool = await startedPool(launcher, { count: 1, callTimeoutS: 1.5, maxRestarts: 1 });
  const { pid } = await echo(pool);
  process.kill(pid, 'SIGSTOP');
  const answers = await Promise.all([echo(pool), echo(pool)]);
  expect(answers.every((answer) => answer.pid !== pid)).toBe(true);
  await pool.stop();
  await expectGone(launcher.launched);
});

test('results refill the budget of restarts', async () => {
  const folder = temporaryFolder();
  const pool = await startedPool(new FakeLauncher(), { count: 1, maxRestarts: 1 });
  for (let round = 0; round < 3; round++) {
    await pool.call('exit_if_missing', { file: join(folder, `${round}`) });
  }
  expect(pool.restarts).toBe(3);
  await pool.stop();
});

test('a call that ends every worker fails alone', async () => {
  const pool = await startedPool(new FakeLauncher(), { count: 1, maxInFlight: 8, maxRestarts: 3 });
  const others = Array.from({ length: 7 }, () => echo(pool, { seconds: 1 }));
  const poison = await pool.call('exit', {}).catch((error) => error);
  expect(poison).toBeInstanceOf(FailedCallError);
  expect(poison).toMatchObject({
    message: 'the same exit call ended 3 workers, at last fake-0: exit code 3',
    details: ['last words'],
  });
  await expect(Promise.all(others)).resolves.toHaveLength(7);
  await pool.stop();
});

test('a pool with no worker left fails all its calls at once, with the end of the log', async () => {
  const launcher = new FakeLauncher();
  const pool = await startedPool(launcher, { count: 1, maxRestarts: 0 });
  const calls = [
    pool.call('exit', {}),
    echo(pool),
    ...Array.from({ length: 8 }, () => echo(pool, { seconds: 30 })),
  ];
  const outcomes = await Promise.allSettled(calls);
  const failed = outcomes.filter(({ status }) => status === 'rejected');
  expect(failed.length).toBeGreaterThanOrEqual(9);
  for (const outcome of failed) {
    expect(outcome).toMatchObject({
      reason: { message: 'no worker is left; fake-0: exit code 3', details: ['last words'] },
    });
  }
  await expect(echo(pool)).rejects.toThrow('no worker is left');
  await expectGone(launcher.launched);
});

test('a pool goes on with the workers that are left', async () => {
  const notes: string[] = [];
  const pool = await startedPool(new FakeLauncher(), { maxRestarts: 0, note: (line) => notes.push(line) });
  const [victim] = await allReady(pool, 2);
  process.kill(victim as number, 'SIGKILL');
  await expect(Promise.all(Array.from({ length: 8 }, () => echo(pool)))).resolves.toHaveLength(8);
  await expect.poll(() => notes).toEqual([expect.stringMatching(/; going on with 1 of 2 workers$/)]);
  await pool.stop();
});

test.each([
  ['user', { name: 'UserError', message: 'no such model', cure: 'name another' }, 1],
  [
    'exit',
    {
      name: 'RunError',
      message: 'no worker is left; fake-0: exit code 4',
      details: ['cannot load the library'],
    },
    3,
  ],
])('workers that cannot start fail the pool: %s', async (FAKE_START, expected, starts) => {
  const launcher = new FakeLauncher({ FAKE_START });
  const pool = makePool(launcher, { count: 1, maxRestarts: 2 });
  await expect(pool.start(never)).rejects.toMatchObject(expected);
  expect(launcher.launched).toHaveLength(starts);
  await expectGone(launcher.launched);
});

test.each([
  ['user', 'UserError'],
  ['bug', 'BugError'],
  ['out_of_sync', 'RunError'],
])('%s: an error that is not retryable fails its call, which is not asked again', async (method, name) => {
  const launcher = new FakeLauncher();
  const pool = await startedPool(launcher, { count: 1 });
  await expect(pool.call(method, {})).rejects.toMatchObject({ name });
  await pool.stop();
});

test('a call that may be asked again is, a few times, and costs no worker', async () => {
  const folder = temporaryFolder();
  const pool = await startedPool(new FakeLauncher(), { count: 1 });
  const { pid } = await echo(pool);
  const file = join(folder, 'busy');
  await expect(pool.call('busy', { file, times: 3 })).resolves.toMatchObject({ pid });
  const failed = await pool.call('busy', { file: join(folder, 'always'), times: 4 }).catch((error) => error);
  expect(failed).toBeInstanceOf(FailedCallError);
  expect(failed).toMatchObject({
    message: 'the same busy call failed 4 times, at last: the endpoint is busy',
  });
  expect(pool.restarts).toBe(0);
  await pool.stop();
});

test('a dead engine is lost like its worker, and asked again', async () => {
  const pool = await startedPool(new FakeLauncher(), { count: 1 });
  const poison = await pool.call('engine_dead', {}).catch((error) => error);
  expect(poison).toBeInstanceOf(FailedCallError);
  expect(poison).toMatchObject({ message: expect.stringMatching(/gave up: the engine is dead$/) });
  await pool.stop();
});

test('forEach reads its items no further ahead than it can work on', async () => {
  const pool = await startedPool(new FakeLauncher(), { count: 1, maxInFlight: 4 });
  let read = 0;
  let handled = 0;
  let furthest = 0;
  function* items() {
    for (let number = 0; number < 500; number++) {
      read++;
      furthest = Math.max(furthest, read - handled);
      yield number;
    }
  }
  const seen = new Set<number>();
  await pool.forEach(
    items(),
    async (number) => {
      await echo(pool, { number });
      seen.add(number);
      handled++;
    },
    never,
  );
  expect(seen.size).toBe(500);
  expect(furthest).toBeLessThan(100);
  await pool.stop();
});

test('the first error of forEach stops it; what runs may finish', async () => {
  const launcher = new FakeLauncher();
  const pool = await startedPool(launcher);
  const finished: number[] = [];
  const work = pool.forEach(
    Array.from({ length: 1000 }, (_, number) => number),
    async (number) => {
      await pool.call(number === 5 ? 'user' : 'echo', { seconds: 0.3 });
      finished.push(number);
    },
    never,
  );
  await expect(work).rejects.toMatchObject({ name: 'UserError', message: 'your fault' });
  expect(finished.length).toBeGreaterThan(0);
  expect(finished.length).toBeLessThan(50);
  await pool.stop();
  await expectGone(launcher.launched);
});

test('an abort lets running calls finish, starts nothing new, and throws its reason', async () => {
  const launcher = new FakeLauncher();
  const pool = await startedPool(launcher, { count: 1, maxInFlight: 4 });
  const controller = new AbortController();
  const finished: number[] = [];
  const work = pool.forEach(
    Array.from({ length: 1000 }, (_, number) => number),
    async (number) => {
      await echo(pool, { seconds: 0.5 });
      finished.push(number);
    },
    controller.signal,
  );
  setTimeout(() => controller.abort(new Error('enough')), 200);
  await expect(work).rejects.toThrow('enough');
  expect(finished).toEqual([0, 1, 2, 3]);
  await expectGone(launcher.launched);
});

test('an abort does not wait for a call longer than the grace', async () => {
  const launcher = new FakeLauncher();
  const pool = await startedPool(launcher, { count: 1, stopGraceS: 0.3 });
  const controller = new AbortController();
  const work = pool.forEach([1, 2], async () => void (await echo(pool, { seconds: 60 })), controller.signal);
  setTimeout(() => controller.abort(new Error('enough')), 200);
  const started = Date.now();
  await expect(work).rejects.toThrow('enough');
  expect(Date.now() - started).toBeLessThan(5000);
  await expectGone(launcher.launched);
});

test('an abort while the workers load ends them at once', async () => {
  const launcher = new FakeLauncher({ FAKE_START: 'silent' });
  const pool = makePool(launcher, { stopGraceS: 10 });
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error('enough')), 1500);
  await expect(pool.start(controller.signal)).rejects.toThrow('enough');
  await expectGone(launcher.launched);
});

test('a worker that cannot be launched at all fails the pool', async () => {
  const launch = () => {
    throw new Error('no log folder');
  };
  await expect(makePool(new FakeLauncher(), { launch }).start(never)).rejects.toThrow('no log folder');
});

test('a Python that is not there is told like a crash', async () => {
  const launcher = new LocalLauncher({ python: '/nowhere/python', logs: temporaryFolder() });
  const pool = makePool(launcher, { count: 1, maxRestarts: 0 });
  await expect(pool.start(never)).rejects.toThrow(/no worker is left; fake-0: never started: .*ENOENT/);
});
