/** What the pages of docs/ show is what a reader gets. */
import { mkdtempSync, readFileSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { paperRows } from '../src/report/paper.ts';

const page = (name: string) => readFileSync(`docs/${name}.md`, 'utf8');
const commandsOf = (name: string) =>
  [...page(name).matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(
    ([, body]) => body?.match(/^rrr [^#\n]+/gm) ?? [],
  );

const rrr = (cwd: string, args: string[]) =>
  execa('node', [resolve('dist/main.js'), ...args], {
    cwd,
    reject: false,
    env: { HF_HUB_OFFLINE: '1', RRR_PYTHON: resolve('.venv/bin/python') },
  });
const words = (line: string) => line.trim().split(/\s+/).slice(1);

test.each(['countdown', 'function_calling'])(
  'the table of %s is what the command prints now',
  async (task) => {
    const { stdout } = await rrr('.', ['plan', '--table', task]);
    expect(stdout.split('\n').length).toBeGreaterThan(5);
    expect(page('models')).toContain(`\`rrr plan --table ${task}\`\n\n${stdout}\n`);
  },
);

/** In their order, in one folder: a config is made first. Those that need the hub or work for long are only planned or known. */
test.each(['gpu-node', 'models'])('the commands of %s.md', { timeout: 180_000 }, async (name) => {
  const cwd = mkdtempSync(join(tmpdir(), 'rrr-docs-'));
  symlinkSync(resolve('configs'), join(cwd, 'configs'));
  for (const line of commandsOf(name)) {
    const args = words(line);
    const long = args[0] === 'run' && !args.includes('--dry-run');
    const way = ['task', 'status'].includes(args[0] as string)
      ? ['help', args[0] as string]
      : long
        ? [...args, '--dry-run']
        : args;
    const { exitCode, stdout } = await rrr(cwd, way);
    expect(exitCode, `${line}\n${stdout}`).toBe(0);
  }
});

test('reproducing.md names a config for each row of the paper, with its numbers and their marks', async () => {
  const rows = page('reproducing').matchAll(/^\| (\S+): (.*?) \| `(rrr init .*)` \|$/gm);
  const found = [...rows].map(([, model, numbers, command]) => ({
    model,
    numbers,
    args: words(command as string),
  }));
  for (const task of ['countdown', 'function_calling']) {
    for (const { model, first_try, second_try } of paperRows(task)) {
      const own = found.find((each) => each.model === model && each.args.includes(task));
      const tell = ({ value, source }: (typeof first_try)['before']) =>
        `${value.toFixed(1)} ${source === 'notes' ? 'N' : 'R'}`;
      const [before, after] = (['before', 'after'] as const).map(
        (when) => `${tell(first_try[when])}, ${tell(second_try[when])}`,
      );
      expect(own?.numbers).toBe(`${before} → ${after}`);
    }
  }
  expect(found).toHaveLength(9);
  const made = await rrr('.', found[0]?.args ?? []);
  expect(made.exitCode).toBe(0);
});
