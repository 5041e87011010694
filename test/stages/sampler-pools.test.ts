/** What a command does with its sampling workers from one stage, and one model, to the next; workers are scripted. */
import { describe, expect, test, vi } from 'vitest';
import type { Config } from '../../src/config/schema.ts';
import { silentProgress } from '../../src/run/progress.ts';
import type { WorkerNews } from '../../src/run/worker-events.ts';
import { SamplerPools } from '../../src/stages/sampler-pools.ts';
import type { StageJob } from '../../src/stages/stage.ts';
import { makeConfig, quiet } from '../workers/harness.ts';
import { type Script, ScriptedLauncher, type ScriptedWorker } from '../workers/scripted.ts';

vi.mock('../../src/run/manifest.ts', () => ({ runDate: () => '2026-01-02' }));

const BASE = '/models/base';
const TRAINED = '/run/train/model';

function setUp(script: Script = {}, config: Config = makeConfig({ workers: { count: 2 } })) {
  const launcher = new ScriptedLauncher({
    start: (worker) => worker.ready({ device: 'cpu' }),
    ...script,
  });
  const samplers = new SamplerPools();
  const news: [string, WorkerNews][] = [];
  const recorder = { record: (...one: [string, WorkerNews]) => void news.push(one) };
  const { signal } = new AbortController();
  const job = {
    config,
    launcher,
    log: quiet,
    progress: silentProgress,
    signal,
    recorder,
    samplers,
  } as unknown as StageJob;
  samplers.enter(job);
  const models = () => launcher.workers.map(({ options }) => options.model);
  return { launcher, samplers, job, news, models };
}

const living = ({ workers }: ScriptedLauncher) =>
  workers.filter(({ stdout }) => !stdout.writableEnded).length;

test('the model that is there is not loaded again, another one is loaded by every worker', async () => {
  const { launcher, samplers, job, models } = setUp();
  const pool = await samplers.take(BASE, job);
  await samplers.leave(true);
  samplers.enter(job);
  expect(await samplers.take(BASE, job)).toBe(pool);
  expect(launcher.calls).toEqual([]);
  expect(await samplers.take(TRAINED, job)).toBe(pool);
  expect(launcher.workers.map(({ calls }) => calls.map(({ method, params }) => [method, params]))).toEqual(
    Array(2).fill([['load_model', { model: TRAINED }]]),
  );
  expect(models()).toEqual([BASE, BASE]);
  await samplers.leave(false);
  expect(living(launcher)).toBe(0);
});

test('an engine that can not take the model gives way to a new one, which starts when the old one is gone', async () => {
  const left: number[] = [];
  const { launcher, samplers, job, models } = setUp({
    launched: (worker) => {
      left.push(launcher === undefined ? 0 : living(launcher));
      worker.tell({ type: 'hello', protocol: 2, role: 'scripted', pid: 1, versions: {} });
    },
    call: (call, worker) => worker.fail(call, { type: 'call' }),
  });
  const pool = await samplers.take(BASE, job);
  left.splice(0);
  expect(await samplers.take(TRAINED, job)).not.toBe(pool);
  expect(models()).toEqual([BASE, BASE, TRAINED, TRAINED]);
  expect(left[0]).toBe(0);
});

test('a defect of loading is no reason to go on', async () => {
  const { samplers, job } = setUp({ call: (call, worker) => worker.fail(call, { type: 'bug' }) });
  await samplers.take(BASE, job);
  await expect(samplers.take(TRAINED, job)).rejects.toMatchObject({ exitCode: 3 });
});

test('another config is another pool', async () => {
  const { launcher, samplers, job, models } = setUp();
  await samplers.take(BASE, job);
  await samplers.take(BASE, { ...job, config: makeConfig({ workers: { count: 3 } }) });
  expect(models()).toHaveLength(5);
  expect(living(launcher)).toBe(3);
});

describe('a worker that dies while nobody asks it', () => {
  const kill = (worker: ScriptedWorker | undefined) => worker?.exit('killed by SIGKILL');

  test('is started again with the model of that time, and recorded by the stage that works then', async () => {
    const { launcher, samplers, job, news, models } = setUp();
    const pool = await samplers.take(BASE, job);
    await samplers.leave(true);
    kill(launcher.workers[0]);
    await vi.waitFor(() => expect(models()).toEqual([BASE, BASE, BASE]));
    expect(news.filter(([, { event }]) => event === 'lost')).toEqual([]);
    samplers.enter(job);
    expect(news.filter(([, { event }]) => event === 'lost')).toHaveLength(1);
    expect(await samplers.take(TRAINED, job)).toBe(pool);
    expect(launcher.workers.map(({ calls }) => calls.length)).toEqual([0, 1, 1]);
    kill(launcher.workers[1]);
    await vi.waitFor(() => expect(models().at(-1)).toBe(TRAINED));
  });

  test('and is the last one: a new pool is started', async () => {
    const config = makeConfig({ workers: { count: 1, max_restarts: 0 } });
    const { launcher, samplers, job } = setUp({}, config);
    const pool = await samplers.take(BASE, job);
    kill(launcher.workers[0]);
    await vi.waitFor(() => expect(pool.lives).toBe(false));
    expect(await samplers.take(BASE, job)).not.toBe(pool);
    expect(living(launcher)).toBe(1);
  });
});

describe('where training needs room', () => {
  const ready = (device: string) => ({
    start: (worker: ScriptedWorker) => worker.ready({ device }),
  });
  const on = (...devices: string[]) => makeConfig({ workers: { count: devices.length, devices } });

  test.each([
    ['on a CPU they stay', 'cpu', makeConfig(), 'all', true],
    ['on a GPU that training may take they go', 'H100', makeConfig(), 'all', false],
    ['also where it names its own and they name none', 'H100', makeConfig(), ['1'], false],
    ['on GPUs of their own they stay', 'H100', on('0,1', '2'), ['3'], true],
    ['on a shared one they go', 'H100', on('0,1', '2'), ['3', '1'], false],
    ['names that can not be compared may be the same', 'H100', on('GPU-8932f937'), ['0'], false],
  ] as const)('%s', async (_name, device, config, gpus, stay) => {
    const { samplers, job } = setUp(ready(device), config);
    const pool = await samplers.take(BASE, job);
    await samplers.makeRoom(gpus);
    expect(pool.lives).toBe(stay);
  });
});

test('Ctrl-C while a model is loaded into running engines', async () => {
  const controller = new AbortController();
  const { samplers, job } = setUp({ call: () => controller.abort(new Error('Ctrl-C')) });
  const interrupted = { ...job, signal: controller.signal };
  await samplers.take(BASE, interrupted);
  await expect(samplers.take(TRAINED, interrupted)).rejects.toThrow('Ctrl-C');
});
