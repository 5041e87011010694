/** `rrr run` as a user runs it, with fake_worker.py in the place of every worker, held against the commands it stands for. */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { runPaths } from '../../src/run/paths.ts';
import { RUN_STAGES } from '../../src/stages/table.ts';
import { makeFakeHome } from '../fixtures/fake-home.ts';
import { expectGone } from '../workers/harness.ts';

const COMMANDS = ['build-failures', 'train', 'eval'];

function makeHome() {
  const { cwd, start } = makeFakeHome({ model: 'base', train: '{steps: 6, checkpoint_every: 2}' });
  const rrr = async (command: string, run: string, ...more: string[]) => {
    const { exitCode, stdout, stderr } = await start([
      command,
      '-c',
      'a.yaml',
      '--run',
      run,
      '--json',
      ...more,
    ]);
    expect(exitCode, stderr).toBe(0);
    return { json: JSON.parse(stdout.trimEnd().split('\n').at(-1) as string), stderr };
  };
  const events = (run: string): { worker: string; event: string; pid?: number }[] =>
    readFileSync(runPaths(join(cwd, run)).workerEvents, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
  const starts = (run: string, worker: string) =>
    events(run).filter((one) => one.event === 'started' && one.worker === worker).length;
  return { cwd, start, rrr, events, starts };
}

/** The files of a run by name, without what tells times and processes; journals in any order. */
function contents(run: string): Record<string, unknown> {
  const files = readdirSync(run, { recursive: true, encoding: 'utf8' }).filter(
    (name) =>
      statSync(join(run, name)).isFile() &&
      !/^logs\/|^(status|run)\.json$|^workers\.jsonl$|report\./.test(name),
  );
  const read = (name: string) => {
    const text = readFileSync(join(run, name), 'utf8').replaceAll(run, 'RUN');
    return name.endsWith('journal.jsonl') ? text.split('\n').sort() : text;
  };
  return Object.fromEntries(files.sort().map((name) => [name, read(name)]));
}

test('the same files as by its commands one by one, from one start of the sampling workers', {
  timeout: 120_000,
}, async () => {
  const { cwd, rrr, events, starts } = makeHome();
  const { json, stderr } = await rrr('run', 'all');
  let last: Record<string, unknown> = {};
  for (const command of COMMANDS) ({ json: last } = await rrr(command, 'each'));
  expect(contents(join(cwd, 'all'))).toEqual(contents(join(cwd, 'each')));
  const { wall_seconds, stage_seconds, ...rest } = json;
  expect({ ...rest, seconds: 0 }).toEqual({ ...last, seconds: 0, report: 'all/eval/report.html' });
  expect(Object.keys(stage_seconds)).toEqual(RUN_STAGES);
  expect(wall_seconds).toBeGreaterThan(Math.max(...(Object.values(stage_seconds) as number[])));
  expect(stderr).toMatch(
    /^stage 1 of 3: build-failures$.*^stage 2 of 3: train$.*^\[2\/3\] training: 6\/6 /ms,
  );
  expect([starts('all', 'sampler-0'), starts('each', 'sampler-0')]).toEqual([1, 2]);
  // Those that were started have all ended, and are gone.
  expect(events('all').filter(({ event }) => event === 'exited')).toHaveLength(4);
  await expectGone(events('all').flatMap(({ pid }) => (pid === undefined ? [] : [{ pid }])));
});

test('it goes on where its commands were, and they where it was interrupted', {
  timeout: 240_000,
}, async () => {
  const { cwd, start, rrr, starts } = makeHome();
  await rrr('build-failures', 'mixed');
  const child = start(['run', '-c', 'a.yaml', '--run', 'mixed', '--resume'], { FAKE_DELAY_S: '0.2' });
  onTestFinished(() => void child.kill('SIGKILL'));
  const training = () => readFileSync(runPaths(join(cwd, 'mixed')).trainEvents, 'utf8');
  await vi.waitFor(() => expect(training()).toContain('"step":2'), { timeout: 30_000, interval: 50 });
  child.kill('SIGINT');
  const { exitCode, stderr } = await child;
  expect(exitCode).toBe(130);
  expect(stderr).toMatch(/^resume: .*main\.js run -c a\.yaml --run mixed --resume$/m);
  await rrr('train', 'mixed', '--resume');
  const { json } = await rrr('run', 'mixed', '--resume');
  expect(starts('mixed', 'sampler-0')).toBe(2);
  const whole = await rrr('run', 'whole');
  expect(json.second_try).toEqual(whole.json.second_try);
  const files = (run: string) => {
    const { 'failures/failures.jsonl': failures, 'eval/journal.jsonl': episodes } = contents(join(cwd, run));
    return [failures, episodes];
  };
  expect(files('mixed')).toEqual(files('whole'));
  // Finished, and nothing starts again.
  expect((await rrr('run', 'mixed', '--resume')).json.second_try).toEqual(json.second_try);
  expect(starts('mixed', 'sampler-0')).toBe(2);
  const again = await start(['run', '-c', 'a.yaml', '--run', 'mixed']);
  expect([again.exitCode, again.stderr]).toEqual([
    2,
    expect.stringContaining('--resume accepts what is there'),
  ]);
});

test('on GPUs the sampling workers end before training begins; a stage that fails ends all', async () => {
  const { rrr, start, events } = makeHome();
  await rrr('run', 'gpu', ...['--set', 'train.steps=1']);
  const order = (run: string) => events(run).map(({ worker, event }) => `${worker} ${event}`);
  expect(order('gpu').indexOf('sampler-0 exited')).toBeGreaterThan(order('gpu').indexOf('trainer exited'));
  const failed = await start(['run', '-c', 'a.yaml', '--run', 'bad'], {
    FAKE_DEVICE: 'H100',
    FAKE_SYNC_BROKEN: '1',
  });
  expect([failed.exitCode, failed.stderr]).toEqual([
    1,
    expect.stringContaining('error: weights out of sync'),
  ]);
  expect(order('bad').indexOf('sampler-1 exited')).toBeLessThan(order('bad').indexOf('trainer started'));
  expect(order('bad')).not.toContain('sampler-1 lost');
});

test('--dry-run: the plans of all, where nothing is missing that it makes itself', async () => {
  const { start } = makeHome();
  const { stdout } = await start(['run', '-c', 'a.yaml', '--dry-run', '--json']);
  const { plans } = JSON.parse(stdout);
  expect(plans.map(({ command, missing }: Record<string, unknown>) => [command, missing])).toEqual(
    COMMANDS.map((command) => [command, []]),
  );
});

describe('--smoke', () => {
  test('a verifier that passes everything is told, and nothing is trained', async () => {
    const { start, cwd } = makeHome();
    const smoke = () => start(['run', '-c', 'a.yaml', '--run', 'lax', '--smoke'], { FAKE_PASSES: '1' });
    const { exitCode, stderr } = await smoke();
    expect([exitCode, stderr]).toEqual([
      2,
      expect.stringContaining('the verifier passed all that the tiny model said'),
    ]);
    expect(existsSync(join(cwd, 'lax-smoke/train'))).toBe(false);
    // The next one replaces what is left of it.
    writeFileSync(join(cwd, 'lax-smoke/old'), '');
    expect((await smoke()).exitCode).toBe(2);
    expect(existsSync(join(cwd, 'lax-smoke/old'))).toBe(false);
  });

  test('a directory that no smoke run made is left alone', async () => {
    const { start, cwd } = makeHome();
    mkdirSync(join(cwd, 'mine-smoke'));
    const { exitCode, stderr } = await start(['run', '-c', 'a.yaml', '--run', 'mine', '--smoke']);
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining('no smoke run made it')]);
    expect(readdirSync(join(cwd, 'mine-smoke'))).toEqual([]);
  });
});
