/** How often a pool tries again, with scripted workers. */
import { expect, onTestFinished, test, vi } from 'vitest';
import { makePool } from './harness.ts';
import { type Script, ScriptedLauncher } from './scripted.ts';

const never = new AbortController().signal;

function scriptedPool(script: Script, options: Parameters<typeof makePool>[1] = {}) {
  const launcher = new ScriptedLauncher(script);
  return { launcher, pool: makePool(launcher, { count: 1, ...options }) };
}

test('a call beside three hung ones survives', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const hangs = ({ method }: { method: string }) => method === 'hang';
  const { pool, launcher } = scriptedPool(
    // One call that hangs holds up the whole worker.
    { call: (call, worker) => worker.calls.some(hangs) || worker.answer(call, 'fine') },
    { maxRestarts: 9 },
  );
  await pool.start(never);
  const outcomes = Promise.allSettled([
    pool.call('hang', {}),
    pool.call('hang', {}),
    pool.call('hang', {}),
    pool.call('echo', {}),
  ]);
  await vi.advanceTimersByTimeAsync(10 * 30_000);
  expect((await outcomes).map(({ status }) => status)).toEqual([
    'rejected',
    'rejected',
    'rejected',
    'fulfilled',
  ]);
  expect(launcher.workers).toHaveLength(10);
  await pool.stop();
});

test.each(['user', 'worker'] as const)(
  'a worker that says why it cannot start is launched once: %s',
  async (type) => {
    const { pool, launcher } = scriptedPool({ start: (worker) => worker.giveUp({ type }) });
    await expect(pool.start(never)).rejects.toThrow('it gave up');
    expect(launcher.workers).toHaveLength(1);
  },
);

test('a worker that was ready once is started again, also when it then says why it cannot start', async () => {
  const { pool, launcher } = scriptedPool({
    start: (worker) => (launcher.workers.length === 2 ? worker.giveUp({ type: 'worker' }) : worker.ready()),
    call: (call, worker) => (launcher.workers.length === 1 ? worker.exit('gone') : worker.answer(call, 'ok')),
  });
  await pool.start(never);
  await expect(pool.call('echo', {})).resolves.toBe('ok');
  expect(launcher.workers).toHaveLength(3);
  await pool.stop();
});

test.each(['user', 'bug'] as const)(
  'what ends the run ends the pool, however long its workers had run: %s',
  async (type) => {
    const name = type === 'user' ? 'UserError' : 'BugError';
    const { pool, launcher } = scriptedPool(
      {
        call: (call, worker) =>
          call.method === 'break' ? worker.giveUp({ type, message: 'no such file' }) : undefined,
      },
      { count: 2 },
    );
    await pool.start(never);
    const others = Array.from({ length: 4 }, () => pool.call('echo', {}).catch((error) => error));
    await expect(pool.call('break', {})).rejects.toMatchObject({
      name,
      message: 'no such file',
    });
    for (const other of await Promise.all(others)) expect(other).toMatchObject({ name });
    expect(launcher.workers).toHaveLength(2);
  },
);

test('every worker has a budget of restarts of its own', async () => {
  const { pool, launcher } = scriptedPool(
    { start: (worker) => (worker.options.index === 0 ? worker.exit('exit code 1') : worker.ready()) },
    { count: 2, maxRestarts: 2 },
  );
  await pool.start(never);
  await vi.waitFor(() => expect(launcher.workers).toHaveLength(4));
  await expect(pool.call('echo', {})).resolves.toBeNull();
  expect(pool.restarts).toBe(2);
  await pool.stop();
});
