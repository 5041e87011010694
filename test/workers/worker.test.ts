import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { CallError, toRrrError, WorkerLostError } from '../../src/workers/errors.ts';
import { expectGone, FakeLauncher, livingMembers, makeConfig, makeWorker } from './harness.ts';

const TIMEOUT = { timeoutS: 20 };

async function readyWorker(launcher: FakeLauncher) {
  const worker = makeWorker(launcher);
  await worker.ready;
  return worker;
}

test('calls are answered by id, and a stopped worker leaves nothing', async () => {
  const launcher = new FakeLauncher();
  const worker = await readyWorker(launcher);
  const slow = worker.call('echo', { seconds: 0.2, name: 'slow' }, TIMEOUT);
  const fast = worker.call('echo', { name: 'fast' }, TIMEOUT);
  await expect(fast).resolves.toMatchObject({ name: 'fast' });
  await expect(slow).resolves.toMatchObject({ name: 'slow' });
  await worker.stop(5);
  await expect(worker.ended).resolves.toMatchObject({ message: 'fake-0 was stopped' });
  await expectGone(launcher.launched);
});

test('stop lets a running call finish', async () => {
  const worker = await readyWorker(new FakeLauncher());
  const call = worker.call('echo', { seconds: 0.5 }, TIMEOUT);
  await worker.stop(5);
  await expect(call).resolves.toMatchObject({ seconds: 0.5 });
});

test('a reply to an unknown id is dropped', async () => {
  const worker = await readyWorker(new FakeLauncher());
  await expect(worker.call('forge', {}, TIMEOUT)).resolves.toBe('after an unknown id');
  await worker.stop(5);
});

test('a line that is no frame ends the worker and its group', async () => {
  const launcher = new FakeLauncher();
  const worker = await readyWorker(launcher);
  await worker.call('child', {}, TIMEOUT);
  expect(livingMembers(launcher.launched[0]?.pid as number)).toHaveLength(3);
  const call = worker.call('garbage', {}, TIMEOUT);
  await expect(call).rejects.toThrow(/broke the protocol: a line is no JSON: "\\u0000 no frame"/);
  await expectGone(launcher.launched);
});

test('an exit rejects what is owed, with the end of the log', async () => {
  const launcher = new FakeLauncher();
  const worker = await readyWorker(launcher);
  const bystander = worker.call('echo', { seconds: 60 }, TIMEOUT);
  const call = worker.call('exit', {}, TIMEOUT);
  const lost = await call.catch((error) => error);
  expect(lost).toBeInstanceOf(WorkerLostError);
  expect(lost).toMatchObject({ message: 'fake-0: exit code 3', details: ['last words'] });
  await expect(bystander).rejects.toBe(lost);
  await expect(worker.call('echo', {}, TIMEOUT)).rejects.toBe(lost);
});

test('a worker killed from outside takes its children along', async () => {
  const launcher = new FakeLauncher();
  const worker = await readyWorker(launcher);
  await worker.call('child', {}, TIMEOUT);
  const { pid } = (await worker.call('echo', {}, TIMEOUT)) as { pid: number };
  process.kill(pid, 'SIGKILL');
  await expect(worker.ended).resolves.toMatchObject({ message: 'fake-0: killed by SIGKILL' });
  await expectGone(launcher.launched);
});

test('when the guardian is killed, worker and children go too', async () => {
  const launcher = new FakeLauncher();
  const worker = await readyWorker(launcher);
  await worker.call('child', {}, TIMEOUT);
  process.kill(launcher.launched[0]?.pid as number, 'SIGKILL');
  await worker.ended;
  await expectGone(launcher.launched);
});

test('a call that takes too long kills its worker, even a stopped one, and is named as the suspect', async () => {
  const launcher = new FakeLauncher();
  const worker = await readyWorker(launcher);
  const { pid } = (await worker.call('echo', {}, TIMEOUT)) as { pid: number };
  process.kill(pid, 'SIGSTOP');
  const bystander = worker.call('echo', {}, TIMEOUT);
  const call = worker.call('echo', {}, { timeoutS: 0.3 });
  await expect(call).rejects.toMatchObject({
    message: 'fake-0: no answer to echo within 0.3 s',
    suspect: true,
  });
  await expect(bystander).rejects.toMatchObject({ suspect: false });
  await expectGone(launcher.launched);
});

test('events reach their call and hold off its timeout', async () => {
  const worker = await readyWorker(new FakeLauncher());
  const events: unknown[] = [];
  const onEvent = (event: unknown) => events.push(event);
  await worker.call('events', { count: 6, seconds: 0.2 }, { timeoutS: 0.7, onEvent });
  expect(events).toEqual(Array.from({ length: 6 }, (_, number) => ({ number })));
  await worker.stop(5);
});

test('what an event handler throws is the outcome of the call', async () => {
  const worker = await readyWorker(new FakeLauncher());
  const onEvent = () => {
    throw new Error('disk full');
  };
  await expect(worker.call('events', { count: 2, seconds: 0 }, { ...TIMEOUT, onEvent })).rejects.toThrow(
    'disk full',
  );
  await worker.stop(5);
});

test('a worker that ignores stop and SIGTERM is killed', async () => {
  const launcher = new FakeLauncher();
  const worker = await readyWorker(launcher);
  const call = worker.call('stubborn', {}, TIMEOUT);
  call.catch(() => {});
  await sleep(200);
  await worker.stop(0.2);
  await expect(call).rejects.toThrow('was stopped');
  await expectGone(launcher.launched);
});

test.each([
  ['user', { name: 'UserError', message: 'your fault', cure: 'do better', exitCode: 2 }],
  ['bug', { name: 'BugError', message: "KeyError: 'mine'", exitCode: 3 }],
  ['out_of_sync', { name: 'RunError', message: 'weights out of sync', exitCode: 1 }],
])('an error of kind %s is the reply of its call alone', async (method, expected) => {
  const worker = await readyWorker(new FakeLauncher());
  const error = await worker.call(method, {}, TIMEOUT).catch((error) => error);
  expect(error).toBeInstanceOf(CallError);
  expect(toRrrError(error)).toMatchObject(expected);
  await worker.stop(5);
});

test('a worker that speaks another protocol is refused with the cure', async () => {
  const worker = makeWorker(new FakeLauncher({ FAKE_PROTOCOL: '1' }));
  const error = toRrrError(await worker.ready.catch((error) => error));
  expect(error).toMatchObject({ name: 'UserError', cure: 'rrr setup' });
});

test('a worker that cannot start says why', async () => {
  const worker = makeWorker(new FakeLauncher({ FAKE_START: 'user' }));
  const error = toRrrError(await worker.ready.catch((error) => error));
  expect(error).toMatchObject({ name: 'UserError', message: 'no such model', cure: 'name another' });
});

test('a wait for a worker to load ends, and names what it waited for', async () => {
  const launcher = new FakeLauncher({ FAKE_START: 'silent' });
  const worker = makeWorker(launcher, { config: makeConfig({ workers: { ready_timeout_s: 5 } }) });
  await expect(worker.ready).rejects.toThrow('no ready frame within 5 s (workers.ready_timeout_s)');
  await expectGone(launcher.launched);
});

test('a worker is stopped at once while it loads', async () => {
  const launcher = new FakeLauncher({ FAKE_START: 'silent' });
  const worker = makeWorker(launcher);
  const started = Date.now();
  await worker.stop(20);
  expect(Date.now() - started).toBeLessThan(10_000);
  await expectGone(launcher.launched);
});

test('the devices of a worker and the log of each attempt are its own', async () => {
  const launcher = new FakeLauncher();
  for (let attempt = 1; attempt <= 2; attempt++) {
    const worker = await readyWorker(launcher);
    await worker.stop(5);
    expect(launcher.launched.at(-1)?.stderrPath).toMatch(new RegExp(`fake-0\\.${attempt}\\.stderr$`));
  }
  const { pid } = launcher.launch({ name: 'devices', module: '', devices: '2,3' });
  expect(readFileSync(`/proc/${pid}/environ`, 'utf8')).toContain('CUDA_VISIBLE_DEVICES=2,3\0');
});
