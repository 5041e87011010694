/** The waits of a worker, in fake time. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { WorkerFrame } from '../../src/protocol/messages.ts';
import { makeConfig, makeWorker } from './harness.ts';
import { type Script, ScriptedLauncher, type ScriptedWorker } from './scripted.ts';

/** In seconds; more milliseconds than a timer of Node can hold. */
const FOREVER = 2 ** 31;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const pass = (seconds: number) => vi.advanceTimersByTimeAsync(1000 * seconds);

function launch(script: Script, readyTimeoutS = 30) {
  const launcher = new ScriptedLauncher(script);
  const worker = makeWorker(launcher, {
    config: makeConfig({ workers: { ready_timeout_s: readyTimeoutS } }),
  });
  return { worker, process: launcher.workers[0] as ScriptedWorker };
}

const progress = (id: number | null): WorkerFrame => ({
  type: 'progress',
  id,
  phase: '',
  done: 1,
  total: null,
});
test.each<[string, WorkerFrame, boolean]>([
  ['its own progress', progress(0), true],
  ['progress of another call', progress(1), false],
  ['progress of no call', progress(null), false],
  ['its own event', { type: 'event', id: 0, event: {} }, true],
  ['an event of another call', { type: 'event', id: 1, event: {} }, false],
])('a call that says nothing within its timeout is lost, unless there is %s', async (_what, frame, lives) => {
  const { worker, process } = launch({ call: () => {} });
  await worker.ready;
  const outcome = vi.fn();
  worker.call('long', {}, { timeoutS: 10 }).then(outcome, outcome);
  worker.call('other', {}, { timeoutS: 100 }).catch(() => {});
  for (let seconds = 0; seconds < 30; seconds += 6) {
    process.tell(frame);
    await pass(6);
  }
  expect(outcome.mock.calls).toEqual(
    lives
      ? []
      : [[expect.objectContaining({ message: 'fake-0: no answer to long within 10 s', suspect: true })]],
  );
});

test('a wait that is too long for a timer is not over at once', async () => {
  const { worker, process } = launch({ start: () => {}, call: () => {}, stop: () => {} }, FOREVER);
  await pass(60);
  process.ready();
  await worker.ready;
  const call = worker.call('long', {}, { timeoutS: FOREVER });
  await pass(60);
  process.answer({ id: 0 }, 'at last');
  await expect(call).resolves.toBe('at last');
  const stopped = worker.stop(FOREVER);
  await pass(60);
  expect(process.signals).toEqual([]);
  process.exit('exit code 0');
  await stopped;
});

test('a worker that says nothing at all is given up', async () => {
  const { worker } = launch({ launched: () => {} }, 30);
  const lost = expect(worker.ready).rejects.toThrow('no hello frame within 30 s (workers.ready_timeout_s)');
  await pass(30);
  await lost;
});

test('loading may take as long as workers.ready_timeout_s, and once it is over there is no limit', async () => {
  const { worker, process } = launch({ start: () => {} }, 30);
  await pass(29);
  process.ready();
  await worker.ready;
  await pass(100);
  expect(worker.accepting).toBe(true);
});

test('SIGTERM comes when the grace is over, SIGKILL five seconds later', async () => {
  const { worker, process } = launch({ stop: () => {} });
  await worker.ready;
  const stopped = worker.stop(7);
  await pass(6.9);
  expect(process.signals).toEqual([]);
  await pass(0.2);
  expect(process.signals).toEqual(['SIGTERM']);
  await pass(4.8);
  expect(process.signals).toEqual(['SIGTERM']);
  await pass(0.2);
  expect(process.signals.slice(0, 2)).toEqual(['SIGTERM', 'SIGKILL']);
  await stopped;
});
