/** `rrr setup` with a fake Python: which stack, which steps, and what an interruption leaves. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { lockFile, type Stack } from '../../src/launch/environment.ts';
import { makeSetupHome } from './fake-home.ts';

test('the machine chooses the stack, a variable and an option before it', async () => {
  const onGpus = makeSetupHome({ gpus: 2 });
  expect(await onGpus.setup()).toMatchObject({
    stack: 'cuda',
    why: 'nvidia-smi lists 2 GPU(s)',
    changed: true,
  });
  const { setup } = makeSetupHome();
  expect(await setup()).toMatchObject({ stack: 'cpu', why: 'nvidia-smi finds no GPU' });
  expect(await setup([], { RRR_STACK: 'cuda' })).toMatchObject({ stack: 'cuda', why: 'RRR_STACK says so' });
  const asked = await setup(['--stack', 'light'], { RRR_STACK: 'cuda' });
  expect(asked).toMatchObject({ stack: 'light', why: '--stack says so' });
  expect(asked.stderr).toContain('setup: light stack, because --stack says so');
  // What was asked for stays until something else is.
  expect(await setup()).toMatchObject({ stack: 'light', changed: false });
  expect(await setup([], { RRR_STACK: 'tpu' })).toMatchObject({
    exitCode: 2,
    error: { message: 'RRR_STACK: tpu is not a stack', cure: 'use one of: cuda, cpu, light' },
  });
});

test('everything of the lock file, without dependencies; a second time nothing', async () => {
  const { setup, takeLog, folder, rrr } = makeSetupHome();
  const { python } = await setup(['--stack', 'cpu']);
  const pip = takeLog().filter((line) => line.includes('pip install'));
  const lock = join(rrr, 'workers/requirements/cpu.lock');
  expect(pip).toHaveLength(2);
  expect(pip[0]).toMatch(/ --no-deps .*torch==\S+$/);
  expect(pip[1]).toMatch(new RegExp(` --no-deps .*-r ${lock}$`));
  expect(python.startsWith(join(folder, 'cache/python/cpu-'))).toBe(true);
  const site = join(python, '../../lib/python3.12/site-packages/rrr-workers.pth');
  expect(readFileSync(site, 'utf8')).toBe(`${join(rrr, 'workers')}\n`);

  const again = await setup(['--stack', 'cpu']);
  expect(again).toMatchObject({ python, changed: false });
  expect(again.stderr).toContain('is up to date');
  expect(takeLog().some((line) => line.includes('pip'))).toBe(false);
});

test("torch for CPUs comes from PyTorch's own index where no other has it", async () => {
  const { setup, takeLog } = makeSetupHome();
  expect(await setup(['--stack', 'cpu'], { FAKE_NO_TORCH: '1' })).toMatchObject({
    exitCode: 0,
    changed: true,
  });
  expect(takeLog().join('\n')).toMatch(
    /--extra-index-url https:\/\/download\.pytorch\.org\/whl\/cpu torch==/,
  );
  const cuda = await setup(['--stack', 'cuda'], { FAKE_NO_TORCH: '1' });
  expect(cuda.error.message).toMatch(/^pip can't install torch==/);
  expect(cuda.error.details).toEqual(['ERROR: No matching distribution found for torch']);
});

test('a clone has its environment in .venv, the light one without torch', async () => {
  const { setup, takeLog, rrr, cache } = makeSetupHome({ clone: true });
  const { python } = await setup(['--stack', 'light']);
  expect(python).toBe(join(rrr, '.venv/bin/python'));
  expect(existsSync(cache)).toBe(false);
  expect(takeLog().some((line) => line.includes('torch'))).toBe(false);
});

test('interrupted, or without room, it leaves nothing that is taken for whole, and starts over', async () => {
  const { setup, start, folder } = makeSetupHome();
  const hanging = join(folder, 'hangs');
  const running = start(['setup', '--stack', 'light', '--json'], { FAKE_HANG: hanging });
  await vi.waitUntil(() => existsSync(hanging), { timeout: 20_000 });
  running.kill('SIGINT');
  const { exitCode, stderr } = await running;
  expect(exitCode).toBe(130);
  expect(stderr).toMatch(/^resume: .*setup --stack light/m);
  expect(await setup(['--stack', 'light'], { FAKE_BROKEN: '1' })).toMatchObject({
    exitCode: 2,
    error: { details: ['ERROR: no space left'] },
  });
  const [environment = ''] = readdirSync(join(folder, 'cache/python'));
  expect(existsSync(join(folder, 'cache/python', environment, 'bin/python'))).toBe(true);
  const { stdout } = await start(['doctor', '--json']);
  expect(stdout).toContain('"id":"no_python_environment"');
  expect(await setup(['--stack', 'light'])).toMatchObject({ exitCode: 0, changed: true });
});

test('a Python too old, or none, is told before anything is made', async () => {
  const { setup, cache } = makeSetupHome();
  const { error, exitCode } = await setup([], { PYTHON: 'false' });
  expect(error).toEqual({
    message: 'no Python >= 3.11 with venv among: false',
    exit_code: 2,
    details: [],
    cure: 'install one, or name it: PYTHON=/path/to/python rrr setup',
  });
  expect(exitCode).toBe(2);
  expect(existsSync(cache)).toBe(false);
});

test('the light lock file holds the versions of the others', () => {
  const versions = (stack: Stack) =>
    [...readFileSync(lockFile(stack), 'utf8').matchAll(/^[^=]+==[^ \n]+/gm)].map(String);
  for (const stack of ['cpu', 'cuda'] as const)
    expect(versions(stack)).toEqual(expect.arrayContaining(versions('light')));
});
