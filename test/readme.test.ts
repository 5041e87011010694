/** What the README shows is what a reader gets. */
import { mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';

const README = readFileSync('README.md', 'utf8');

/** Bodies of the fenced blocks of one language. */
const blocks = (language: string) =>
  [...README.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))].map(
    ([, body]) => body as string,
  );

/** A folder with the layout of a clone, where a config can be put next to the model it names. */
function clone(): string {
  const folder = mkdtempSync(join(tmpdir(), 'rrr-readme-'));
  mkdirSync(join(folder, 'configs'));
  symlinkSync(resolve('models'), join(folder, 'models'));
  return folder;
}

const rrr = (args: string[], cwd = '.') =>
  execa('node', [resolve('dist/main.js'), ...args], { cwd, reject: false });

test('the config on the first screen is a whole config', async () => {
  const [yaml] = blocks('yaml');
  const cwd = clone();
  writeFileSync(join(cwd, 'configs/demo.yaml'), yaml as string);
  const { stderr, exitCode } = await rrr(['build-failures', '-c', 'configs/demo.yaml', '--dry-run'], cwd);
  expect(stderr).toBe('');
  expect(exitCode).toBe(0);
});

test('the evaluation that the README asks for is one', async () => {
  const wanted = blocks('yaml').find((body) => body.startsWith('eval:')) as string;
  const cwd = clone();
  writeFileSync(join(cwd, 'configs/demo.yaml'), readFileSync('configs/demo.yaml', 'utf8') + wanted);
  const { stdout, exitCode } = await rrr(['eval', '-c', 'configs/demo.yaml', '--dry-run'], cwd);
  expect(exitCode).toBe(0);
  for (const arm of ['bare_retry_trained', 'equal_tokens_base', 'trained_reflection', 'Qwen2-72B'])
    expect(stdout).toContain(arm);
});

/** Commands that are quick are run, those that work for long only planned, those that read other runs only known. */
test.each(blocks('sh').flatMap((body) => body.match(/^rrr [^#\n]+/gm) ?? []))('%s', async (line) => {
  const args = line.trim().split(/\s+/).slice(1);
  const isQuick = args[0] === 'task' || args[0] === 'data';
  const way = isQuick ? args : args[0] === 'compare' ? ['help', 'compare'] : [...args, '--dry-run'];
  const { stderr, exitCode } = await rrr(way);
  if (!isQuick) expect(stderr).toBe('');
  expect(exitCode).toBe(0);
});

test('the files that the README quotes are quoted whole', () => {
  const quoted = [
    ...blocks('python'),
    ...blocks('js'),
    ...blocks('yaml').filter((body, index) => index > 0 && body.startsWith('model:')),
  ];
  const files = ['near.py', 'near.mjs', 'near.yaml', 'near-command.yaml'];
  expect(quoted).toEqual(
    files.map((file) => {
      const text = readFileSync(join('test/fixtures/own-task', file), 'utf8');
      return text.replace(/^#.*\n/gm, '');
    }),
  );
});

test('a mistake in a config is shown as the README shows it', async () => {
  const [shown] = blocks('console');
  const cwd = clone();
  const lines = readFileSync('configs/demo.yaml', 'utf8').split('\n');
  const steps = lines.findIndex((line) => line.startsWith('  steps:'));
  lines[steps] = '  stepz: 100';
  writeFileSync(join(cwd, 'configs/mine.yaml'), lines.join('\n'));
  const { stderr, exitCode } = await rrr(['train', '-c', 'configs/mine.yaml'], cwd);
  expect(exitCode).toBe(2);
  expect(stderr.trim()).toContain((shown as string).trim());
});
