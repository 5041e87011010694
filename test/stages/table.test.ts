/** A stage that is only in the table (test/fixtures/toy-stage.mjs) has all that the others have. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished, test, vi } from 'vitest';
import { STAGES } from '../../src/stages/table.ts';
import { ITEMS, makeToyHome, TOY } from '../fixtures/toy-home.ts';
import { temporaryFolder } from '../workers/harness.ts';

function makeHome() {
  const cwd = makeToyHome();
  const startWith = (env: NodeJS.ProcessEnv, ...args: string[]) =>
    execa('node', [TOY, ...args], { cwd, env, reject: false });
  const start = (...args: string[]) => startWith({}, ...args);
  const toy = (...args: string[]) => start('toy', '-c', 'a.yaml', '--run', 'run', ...args);
  const status = async () => JSON.parse((await start('status', 'run', '--json')).stdout);
  const numbers = () =>
    readFileSync(join(cwd, 'run/toy/journal.jsonl'), 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line).number);
  return { start, startWith, toy, status, numbers };
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

test('help, plan, counters, a kill, --resume, another config, status', async () => {
  const { start, toy, status, numbers } = makeHome();
  expect((await start('--help')).stdout).toMatch(/^ {2}toy \[options\] +count$/m);
  const plan = await toy('--dry-run');
  expect(plan.stdout).toMatch(/^ {2}items +20$/m);
  expect(plan.stdout).toMatch(/^ {2}writes +.*run\/toy\/journal\.jsonl$/m);

  const first = toy();
  onTestFinished(() => void first.kill('SIGKILL'));
  const running = await vi.waitFor(
    async () => {
      const now = await status();
      expect(now.stages[0].done).toBeGreaterThan(2);
      return now;
    },
    { timeout: 20_000, interval: 50 },
  );
  expect(running).toMatchObject({
    state: 'running',
    phase: { name: 'counting', total: ITEMS },
    stages: [{ stage: 'toy', status: 'running', attempts: 1, total: ITEMS }],
  });
  first.kill('SIGKILL');
  await first;
  const killedAt = numbers().length;
  expect(killedAt).toBeLessThan(ITEMS);
  expect(await status()).toMatchObject({ state: 'killed', stages: [{ status: 'killed', done: killedAt }] });

  const other = await toy('--resume', '--set', 'seed=7');
  expect(other.exitCode).toBe(2);
  expect(other.stderr).toContain('seed: 0 -> 7');
  const resumed = await toy('--resume', '--set', 'sampling.top_p=0.5', '--json');
  expect(JSON.parse(resumed.stdout.split('\n').at(-1) as string)).toEqual({ items: ITEMS });
  expect(numbers()).toEqual(upTo(ITEMS));
  expect(await status()).toMatchObject({ state: 'finished', stages: [{ attempts: 2, done: ITEMS }] });
  expect((await start('status', 'run')).stdout).toMatch(
    /^toy +finished, 20\/20 items, [\d.]+ s, attempt 2$/m,
  );
});

test('--resume of what is not there says that it starts anew, and ~ is the home directory', async () => {
  const { startWith } = makeHome();
  const HOME = temporaryFolder();
  const resume = () => startWith({ HOME }, 'toy', '-c', 'a.yaml', '--resume', '--run=~/x/run');
  const { exitCode, stderr } = await resume();
  expect(exitCode).toBe(0);
  expect(stderr).toContain(`there is no toy stage to go on with in ${HOME}/x/run: it starts anew`);
  expect((await resume()).stderr).not.toContain('anew');
});

test('Ctrl-C tells the line that resumes it', async () => {
  const { toy } = makeHome();
  const child = toy();
  onTestFinished(() => void child.kill('SIGKILL'));
  await vi.waitFor(
    () => new Promise((done, fail) => child.stderr.once('data', done).once('end', fail)),
    20_000,
  );
  child.kill('SIGINT');
  const { exitCode, stderr } = await child;
  expect(exitCode).toBe(130);
  expect(stderr).toMatch(/^resume: .*toy-stage\.mjs toy -c a\.yaml --run run --resume$/m);
});

test('each stage needs stages that stand before it', () => {
  const config = { eval: {} } as Parameters<(typeof STAGES)[number]['needs']>[0];
  for (const [index, stage] of STAGES.entries()) {
    const earlier = STAGES.slice(0, index).map(({ name }) => name);
    for (const name of stage.needs(config)) expect(earlier).toContain(name);
  }
});
