/** What becomes of a run when its terminal, or whoever reads its output, goes away. The run is that of toy-stage.mjs. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished, test, vi } from 'vitest';
import { readManifest } from '../../src/run/manifest.ts';
import { runPaths } from '../../src/run/paths.ts';
import { ITEMS, makeToyHome, TOY } from '../fixtures/toy-home.ts';

function makeHome() {
  const cwd = makeToyHome();
  const paths = runPaths(join(cwd, 'runs/a'));
  const toy = ['node', TOY, 'toy', '-c', 'a.yaml'];
  const done = () => readFileSync(join(paths.run, 'toy/journal.jsonl'), 'utf8').split('\n').length - 1;
  return { cwd, toy, done, stage: () => readManifest(paths)?.stages.toy };
}

test('a terminal that goes away ends the run in good order', async () => {
  const { cwd, toy, done, stage } = makeHome();
  const lose = resolve('test/fixtures/lose_terminal.py');
  const { stdout } = await execa('python3', [lose, 'counting: 3/', ...toy], { cwd });
  expect(stdout).toBe('-1'); // ended by SIGHUP
  expect(stage()?.status).toBe('interrupted');
  expect(done()).toBeLessThan(ITEMS);
});

test('what runs under nohup goes on after SIGHUP', async () => {
  const { cwd, toy, done, stage } = makeHome();
  const out = { file: join(cwd, 'out') };
  const child = execa('nohup', toy, { cwd, reject: false, stdin: 'ignore', stdout: out, stderr: out });
  onTestFinished(() => void child.kill('SIGKILL'));
  await vi.waitFor(() => expect(done()).toBeGreaterThan(1), { timeout: 20_000 });
  child.kill('SIGHUP');
  expect((await child).exitCode).toBe(0);
  expect(stage()?.status).toBe('finished');
  expect(done()).toBe(ITEMS);
});

test.each(['2>&1 | head -1', '2>&1 >/dev/null | head -1', '| true'])(
  '%s does not end the run',
  async (pipe) => {
    const { cwd, toy, done, stage } = makeHome();
    const script = `{ ${toy.join(' ')}; echo $? > status; } ${pipe}; while ! test -s status; do sleep 0.1; done`;
    const { stderr } = await execa('sh', ['-c', script], { cwd });
    expect(stderr).not.toMatch(/^ +at /m);
    expect(readFileSync(join(cwd, 'status'), 'utf8')).toBe('0\n');
    expect(stage()?.status).toBe('finished');
    expect(done()).toBe(ITEMS);
  },
);

test('a second Ctrl-C ends its line and shows the line that resumes', async () => {
  const { cwd, toy } = makeHome();
  const [program = '', ...args] = toy;
  const child = execa(program, args, { cwd, reject: false, env: { TOY_STUBBORN: '1' } });
  onTestFinished(() => void child.kill('SIGKILL'));
  let shown = '';
  child.stderr.on('data', (chunk) => {
    shown += chunk;
  });
  await vi.waitFor(() => expect(shown).toContain('counting'), { timeout: 20_000 });
  child.kill('SIGINT');
  await vi.waitFor(() => expect(shown).toContain('once more to stop at once'), { timeout: 20_000 });
  child.kill('SIGINT');
  const { exitCode, stderr } = await child;
  expect(exitCode).toBe(130);
  expect(stderr).toMatch(/\n\ninterrupted; .*\nresume: .*toy -c a\.yaml --resume$/);
});
