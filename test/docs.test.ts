/** What the README and the pages of docs/ show is what a reader gets. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkLine, rrr, wordsOf } from './fixtures/command-lines.ts';

const DOCS = readdirSync('docs')
  .filter((name) => name.endsWith('.md'))
  .map((name) => `docs/${name}`);
const PAGES = ['README.md', 'CONTRIBUTING.md', ...DOCS];
const read = (page: string) => readFileSync(page, 'utf8');

/** Bodies of a page's fenced blocks of one language. */
const blocks = (page: string, language: string) =>
  [...read(page).matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))].map(
    ([, body]) => body as string,
  );

/** A folder with the layout of a clone, where a config can be put next to the model it names. */
function clone(): string {
  const folder = mkdtempSync(join(tmpdir(), 'rrr-docs-'));
  mkdirSync(join(folder, 'configs'));
  symlinkSync(resolve('models'), join(folder, 'models'));
  return folder;
}

test('the config on the first screen is a whole config', async () => {
  const [yaml] = blocks('README.md', 'yaml');
  const cwd = clone();
  writeFileSync(join(cwd, 'configs/demo.yaml'), yaml as string);
  const { stderr, exitCode } = await rrr(['build-failures', '-c', 'configs/demo.yaml', '--dry-run'], cwd);
  expect(stderr).toBe('');
  expect(exitCode).toBe(0);
});

test('the evaluation that its page asks for is one', async () => {
  const wanted = blocks('docs/evaluation.md', 'yaml').find((body) => body.startsWith('eval:')) as string;
  const cwd = clone();
  writeFileSync(join(cwd, 'configs/demo.yaml'), read('configs/demo.yaml') + wanted);
  const { stdout, exitCode } = await rrr(['eval', '-c', 'configs/demo.yaml', '--dry-run'], cwd);
  expect(exitCode).toBe(0);
  for (const arm of ['bare_retry_trained', 'equal_tokens_base', 'trained_reflection', 'Qwen2-72B'])
    expect(stdout).toContain(arm);
});

test.each(['engine:', 'eval:'])('the section %s of the page on endpoints holds', async (section) => {
  const wanted = blocks('docs/endpoints.md', 'yaml').find((body) => body.startsWith(section)) as string;
  const cwd = clone();
  const own = read('configs/demo.yaml').replace(new RegExp(`^${section}\n(?: .*\n)+`, 'm'), '');
  writeFileSync(join(cwd, 'configs/demo.yaml'), own + wanted);
  const { stderr, exitCode } = await rrr(['eval', '-c', 'configs/demo.yaml', '--dry-run'], cwd);
  expect(exitCode, stderr).toBe(0);
});

/** Of all pages, each line once, as it is after its comment and continuations are gone. */
const LINES = [
  ...new Set(
    PAGES.flatMap((page) => blocks(page, 'sh'))
      .flatMap((body) => body.replaceAll('\\\n', ' ').split('\n'))
      .filter((line) => /^([A-Z_]+=\S+ )*rrr /.test(line))
      .map((line) => line.replace(/\s+#.*$/, '').trim()),
  ),
];
const STAGES = ['run', 'build-failures', 'train', 'eval', 'benchmarks'];

describe('command lines', () => {
  const done = new Set<string>();

  /**
   * The command and its options must be known. One line of each command and config is run where that is quick, or planned
   * where it is a stage.
   */
  test.each(LINES)('%s', async (line) => {
    const { command, unknown } = await checkLine(line);
    expect(unknown).toEqual([]);
    const args = wordsOf(line);
    const config = args[args.indexOf('-c') + 1] as string;
    if (!args.includes('-c') || !existsSync(config) || args.includes('--run')) return;
    const isQuick = command === 'task check' || command === 'data stats';
    if (!isQuick && !STAGES.includes(command)) return;
    if (done.has(`${command} ${config}`)) return;
    done.add(`${command} ${config}`);
    const { stderr, exitCode } = await rrr(isQuick ? args : [...args, '--dry-run']);
    if (!isQuick) expect(stderr).toBe('');
    expect(exitCode, stderr).toBe(0);
  });
});

test.each([
  ['docs/your-task.md', 'test/fixtures/own-task', ['near.py', 'near.mjs', 'near.yaml', 'near-command.yaml']],
  ['docs/your-data.md', 'test/fixtures/own-data', ['exact.py', 'mine.yaml']],
])('the files that %s quotes are quoted whole', (page, folder, files) => {
  const quoted = ['python', 'js', 'yaml'].flatMap((language) => blocks(page, language));
  const withoutHead = (name: string) => readFileSync(join(folder, name), 'utf8').replace(/^#.*\n/gm, '');
  expect(quoted).toEqual(files.map(withoutHead));
});

test('rows that a page shows are rows of the file', () => {
  const [shown = ''] = blocks('docs/your-data.md', 'json');
  expect(read('test/fixtures/own-data/questions.jsonl').startsWith(shown)).toBe(true);
});

test('a mistake in a config is shown as the README shows it', async () => {
  const [shown] = blocks('README.md', 'console');
  const cwd = clone();
  const lines = read('configs/demo.yaml').split('\n');
  const steps = lines.findIndex((line) => line.startsWith('  steps:'));
  lines[steps] = '  stepz: 100';
  writeFileSync(join(cwd, 'configs/mine.yaml'), lines.join('\n'));
  const { stderr, exitCode } = await rrr(['train', '-c', 'configs/mine.yaml'], cwd);
  expect(exitCode).toBe(2);
  expect(stderr.trim()).toContain((shown as string).trim());
});

describe('links', () => {
  test.each(PAGES)('of %s lead to what is there', (page) => {
    const broken = linksOf(page).filter((link) => {
      const [path = '', anchor] = link.split('#');
      const file = path === '' ? page : join(dirname(page), path);
      if (!existsSync(file)) return true;
      return anchor !== undefined && (statSync(file).isDirectory() || !anchorsOf(file).includes(anchor));
    });
    expect(broken).toEqual([]);
  });

  test('the README leads to every page, and each says first what it is for', () => {
    const linked = linksOf('README.md');
    for (const page of DOCS) {
      expect(linked).toContain(page);
      expect(read(page), page).toMatch(/^# .+\n\n\S/);
    }
    expect(read('README.md').split('\n').length).toBeLessThanOrEqual(251);
  });
});

/** Of Markdown and of images, to what is in the repository. */
function linksOf(page: string): string[] {
  const text = read(page).replace(/^```.*?^```$/gms, '');
  return [...text.matchAll(/\]\(([^)\s]+)\)|<img src="([^"]+)"/g)]
    .map(([, link, image]) => `${link ?? image}`)
    .filter((link) => !/^[a-z]+:/.test(link));
}

/** As the forges make them of headings. */
function anchorsOf(page: string): string[] {
  const text = read(page).replace(/^```.*?^```$/gms, '');
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .replace(/[`*]|\[|\]\(.*?\)/g, '')
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}
