import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { InterruptedError } from '../../src/errors.ts';
import { type AttemptRequest, beginAttempt, requireFinished } from '../../src/run/attempt.ts';
import { lockRun } from '../../src/run/lock.ts';
import { readManifest } from '../../src/run/manifest.ts';
import { runPaths } from '../../src/run/paths.ts';
import { failures } from '../../src/stages/failures/stage.ts';
import { train } from '../../src/stages/train/stage.ts';
import { makeConfig, temporaryFolder } from '../workers/harness.ts';

test('a second orchestrator is refused and told who is at work', () => {
  const path = join(temporaryFolder(), 'lock');
  const unlock = lockRun(path);
  expect(() => lockRun(path)).toThrow(
    `another rrr works on this run: process ${process.pid} on ${hostname()}`,
  );
  unlock();
  lockRun(path)();
  expect(readdirSync(join(path, '..'))).toEqual([]);
});

test('the lock of a dead process is taken over, also when its id is in use again', async () => {
  const path = join(temporaryFolder(), 'lock');
  const child = spawn('true');
  await once(child, 'exit');
  const dead = { pid: child.pid, started: '1', host: hostname(), since: 'long ago' };
  for (const holder of [dead, { ...dead, pid: process.pid }]) {
    writeFileSync(path, JSON.stringify(holder));
    const unlock = lockRun(path);
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ pid: process.pid });
    unlock();
  }
});

test('the lock of another host stays, and the cure says what to do', () => {
  const path = join(temporaryFolder(), 'lock');
  writeFileSync(path, JSON.stringify({ pid: 1, started: '1', host: 'elsewhere', since: 'now' }));
  expect(() => lockRun(path)).toThrow(/process 1 on elsewhere/);
});

test.each([
  ['RUNNING', 0, 'stays'],
  ['COMPLETING', 0, 'stays'],
  ['RUNNING', 1, 'goes'],
  ['PENDING', 1, 'goes'],
  ['NODE_FAIL', 0, 'goes'],
  ['forgotten', 0, 'goes'],
  ['unreachable', 0, 'stays'],
])('the lock of another host, in a Slurm job that is %s after %i restarts, %s', (state, restarts, fate) => {
  const folder = temporaryFolder();
  const path = join(folder, 'lock');
  const job = { id: '7', restarts: 0, user: process.getuid?.() };
  const holder = { pid: 1, started: '1', host: 'elsewhere', since: 'now' };
  const squeue = {
    forgotten: 'echo "8|RUNNING|0|"',
    unreachable: 'echo "Unable to contact slurm controller" >&2; exit 1',
  };
  const script =
    squeue[state as keyof typeof squeue] ?? `echo "17|RUNNING|0|"; echo "7|${state}|${restarts}|"`;
  writeFileSync(join(folder, 'squeue'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  vi.stubEnv('PATH', `${folder}:${process.env.PATH}`);
  onTestFinished(() => void vi.unstubAllEnvs());
  const write = (user: number | undefined) =>
    writeFileSync(path, JSON.stringify({ ...holder, job: { ...job, user } }));
  write(-1); // Slurm may hide the jobs of others
  expect(() => lockRun(path)).toThrow(/process 1 on elsewhere, Slurm job 7/);
  write(job.user);
  if (fate === 'stays') expect(() => lockRun(path)).toThrow(/process 1 on elsewhere, Slurm job 7/);
  else lockRun(path)();
});

/** An attempt that has something to do. */
function begin(wanted: AttemptRequest) {
  const attempt = beginAttempt(wanted);
  if (attempt.finished) throw new Error('it was finished before');
  return attempt;
}

function request(overrides: Partial<AttemptRequest> = {}): AttemptRequest {
  return {
    run: join(temporaryFolder(), 'run'),
    stage: failures,
    config: makeConfig(),
    resume: false,
    ...overrides,
  };
}

/** What an attempt leaves that got somewhere and failed. */
async function failAfterWork({ run, ...wanted }: AttemptRequest, error = new Error('stop')): Promise<void> {
  const work = begin({ run, ...wanted }).during(() => {
    writeFileSync(join(run, wanted.stage.name, 'journal.jsonl'), '{}\n');
    return Promise.reject(error);
  });
  await expect(work).rejects.toBe(error);
}

test('a finished stage is never begun again, and --resume accepts it', async () => {
  const wanted = request();
  await begin(wanted).during(async () => {});
  const paths = runPaths(wanted.run);
  expect(readManifest(paths)?.stages.failures).toMatchObject({ status: 'finished', attempts: 1 });
  expect(existsSync(paths.lock)).toBe(false);
  expect(() => beginAttempt(wanted)).toThrow(/the failures stage of .* is finished/);
  expect(beginAttempt({ ...wanted, resume: true }).finished).toBe(true);
  expect(() => requireFinished(wanted.run, failures, wanted.config)).not.toThrow();
});

test.each([
  ['interrupted', new InterruptedError('rrr --resume')],
  ['failed', new Error('no')],
])('an unfinished stage, %s, is gone on with by --resume only', async (status, error) => {
  const wanted = request();
  await failAfterWork(wanted, error);
  expect(readManifest(runPaths(wanted.run))?.stages.failures?.status).toBe(status);
  expect(() => requireFinished(wanted.run, failures, wanted.config)).toThrow('no finished');
  expect(() => beginAttempt(wanted)).toThrow(/unfinished failures stage/);
  const resumed = begin({ ...wanted, resume: true });
  expect(resumed).toMatchObject({ finished: false, resumed: true });
  await resumed.during(async () => {});
  expect(readManifest(runPaths(wanted.run))?.stages.failures).toMatchObject({
    status: 'finished',
    attempts: 2,
  });
});

test('another config is refused with every key that differs; keys that decide no result may change', async () => {
  const wanted = request();
  await failAfterWork(wanted);
  const other = makeConfig({ seed: 7, failures: { max_draws: 3 } });
  const error = (() => {
    try {
      beginAttempt({ ...wanted, config: other, resume: true });
    } catch (error) {
      return error;
    }
  })();
  expect(error).toMatchObject({
    exitCode: 2,
    details: ['  seed: 0 -> 7', '  failures.max_draws: 64 -> 3'],
  });
  const faster = makeConfig({ workers: { count: 4 }, train: { steps: 3 } });
  await begin({ ...wanted, config: faster, resume: true }).during(async () => {});
  expect(() => requireFinished(wanted.run, failures, other)).toThrow('belongs to another config');
});

test('a stage belongs to the sections that decide it: training to its own, not to those of the evaluation', async () => {
  const wanted = request({ stage: train });
  await failAfterWork(wanted);
  const resume = (config = wanted.config) => begin({ ...wanted, config, resume: true });
  expect(() => resume(makeConfig({ train: { steps: 3 } }))).toThrow('another config');
  const later = resume(makeConfig({ eval: { modes: ['greedy'] }, train: { step_timeout_s: 9 } }));
  await later.during(async () => {});
});

test('a stage that failed before it made anything may be begun anew, with another config too', async () => {
  const wanted = request();
  const work = begin(wanted).during(() => {
    writeFileSync(join(wanted.run, 'failures', 'journal.jsonl'), '');
    return Promise.reject(new Error('no such model'));
  });
  await expect(work).rejects.toThrow('no such model');
  const stage = begin({ ...wanted, config: makeConfig({ seed: 7 }) });
  expect(stage.resumed).toBe(false);
  await stage.during(async () => {});
});

test('two stages of one run do not run at the same time', async () => {
  const wanted = request();
  const first = begin(wanted);
  expect(() => beginAttempt({ ...wanted, stage: train })).toThrow('another rrr works on this run');
  await first.during(async () => {});
});

test('the seconds of all attempts add up, and the stage began with the first', async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: 0 });
  onTestFinished(() => void vi.useRealTimers());
  const wanted = request();
  const record = () => readManifest(runPaths(wanted.run))?.stages.failures;
  const spend = (seconds: number, resume: boolean, error?: Error) =>
    begin({ ...wanted, resume }).during(async () => {
      writeFileSync(join(wanted.run, 'failures', 'journal.jsonl'), '{}\n');
      vi.setSystemTime(Date.now() + 1000 * seconds);
      if (error) throw error;
    });
  await expect(spend(5, false, new Error('stop'))).rejects.toThrow('stop');
  expect(record()).toMatchObject({ seconds: 5, finished: null });
  vi.setSystemTime(100_000);
  await expect(spend(7, true, new InterruptedError(''))).rejects.toThrow('interrupted');
  expect(record()).toMatchObject({ seconds: 12, attempts: 2, finished: null });
  await spend(0.5, true);
  expect(record()).toMatchObject({
    seconds: 12.5,
    attempts: 3,
    started: '1970-01-01T00:00:00.000Z',
    finished: '1970-01-01T00:01:47.500Z',
  });
});

test('while a stage runs, its record says so and holds the seconds of earlier attempts', async () => {
  const wanted = request();
  await begin(wanted).during(async () => {
    expect(readManifest(runPaths(wanted.run))?.stages.failures).toMatchObject({
      status: 'running',
      attempts: 1,
      seconds: 0,
      finished: null,
    });
  });
});
