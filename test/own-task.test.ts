/** A task of a user's own, in Python and with a verifier in JavaScript: the files that docs/your-task.md shows, run for real. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { dataStatsResult, taskCheckResult } from '../src/protocol/methods.ts';

const FOLDER = resolve('test/fixtures/own-task');
const rrr = (...args: string[]) =>
  execa('node', [resolve('dist/main.js'), ...args], {
    cwd: FOLDER,
    reject: false,
    env: { OMP_WAIT_POLICY: 'PASSIVE' },
  });
const lastLine = (text: string) => JSON.parse(text.trimEnd().split('\n').at(-1) ?? '');

describe.each(['near.yaml', 'near-command.yaml'])('%s', (config) => {
  test('task check: it holds', async () => {
    const { exitCode, stdout, stderr } = await rrr('task', 'check', '-c', config, '--rows', '3', '--json');
    expect(exitCode, stderr).toBe(0);
    const { rows, problems, bad_rows } = taskCheckResult.parse(lastLine(stdout));
    expect([problems, bad_rows]).toEqual([[], []]);
    expect(rows).toHaveLength(3);
    expect(rows[0]?.prompt).toEqual([{ role: 'user', content: 'Use 1,8,3 to make 25.' }]);
    expect(rows[0]?.checks[0]).toMatchObject({ source: 'reference', answer: '1+8*3', kind: 'passed' });
    expect(rows[0]?.checks[1]).toMatchObject({ source: 'empty', kind: 'not_expression' });
  });

  // Four engines start in here, each for tens of seconds of a busy machine.
  test('build-failures, train and eval', { timeout: 600_000 }, async () => {
    const run = mkdtempSync(join(tmpdir(), 'rrr-own-task-'));
    const stage = async (command: string) => {
      const { exitCode, stdout, stderr } = await rrr(command, '-c', config, '--run', run, '--json');
      expect(exitCode, stderr).toBe(0);
      return lastLine(stdout);
    };
    const { failures, kinds } = await stage('build-failures');
    expect(failures).toBeGreaterThan(0);
    expect(kinds.passed).toBeGreaterThan(0);
    const known = ['passed', 'not_expression', 'other_numbers', 'too_far'];
    expect(Object.keys(kinds).filter((kind) => !known.includes(kind))).toEqual([]);
    expect((await stage('train')).steps).toBe(2);
    const { first_try, second_try } = await stage('eval');
    expect(first_try.after.n).toBe(first_try.before.n);
    expect(second_try.before.n).toBeGreaterThan(0);
    expect(readFileSync(join(run, 'eval/report.md'), 'utf8')).toContain('too_far');
    const card = readFileSync(join(run, 'train/model/README.md'), 'utf8');
    expect(card).toContain("Second try on the base model's failures");
    expect([card.includes(run), card.includes(FOLDER)]).toEqual([false, false]);
    if (config === 'near.yaml') await tryAgain(run);
  });
});

/** A query that the base model failed, typed: by its id and seeds these are the texts of the evaluation, in float32. */
async function tryAgain(run: string): Promise<void> {
  const lines = (file: string) =>
    readFileSync(join(run, file), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
  const journal = lines('eval/journal.jsonl');
  const { id } = journal.find(({ arm, episode }) => arm === 'base' && !episode.first.verdict.passed);
  const { fields } = lines('data/test.jsonl').find((query) => query.id === id);
  const before = stateOf(run);
  const { exitCode, stdout, stderr } = await rrr('try', run, '--query', JSON.stringify(fields), '--json');
  expect(exitCode, stderr).toBe(0);
  const shown = lastLine(stdout);
  const recorded = journal.filter((record) => record.id === id).map(({ arm, episode }) => [arm, episode]);
  expect(shown).toMatchObject({ id, evaluation: 'same', episodes: Object.fromEntries(recorded) });
  expect(Object.keys(shown.episodes)).toEqual(['base', 'trained', 'trained_on_base']);
  expect(stderr).toContain("the evaluation's own answers");
  expect(stateOf(run)).toEqual(before);
}

/** Every file with its size and the time of its last change. */
function stateOf(folder: string): [name: string, size: number, changed: number][] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => {
    const { size, mtimeMs } = statSync(join(folder, name));
    return [name, size, mtimeMs];
  });
}

test('run --smoke: all stages with the tiny model, in a directory of its own', {
  timeout: 600_000,
}, async () => {
  const run = join(mkdtempSync(join(tmpdir(), 'rrr-own-task-')), 'run');
  // The models of the real run are on another machine.
  const elsewhere = ['--set', 'model={name: /nowhere, dtype: bfloat16}', '--set', 'workers.devices=["0"]'];
  const smoke = () => rrr('run', '-c', 'near.yaml', '--run', run, '--smoke', '--json', ...elsewhere);
  const { exitCode, stdout, stderr } = await smoke();
  expect(exitCode, stderr).toBe(0);
  const last = lastLine(stdout);
  expect(last).toMatchObject({ smoke: true, meaning: expect.stringContaining('mean nothing') });
  expect(Object.keys(last.kinds)).toEqual(expect.arrayContaining(['passed', 'too_far']));
  expect(Object.keys(last.stage_seconds)).toEqual(['failures', 'train', 'eval']);
  expect(last.first_try.before.n).toBe(8);
  expect(stderr).toContain('SMOKE RUN: ');
  expect(existsSync(run)).toBe(false);
  expect(readFileSync(`${run}-smoke/eval/report.md`, 'utf8')).toContain('too_far');
  writeFileSync(`${run}-smoke/old`, '');
  const again = ['--set', 'data.path=gone.jsonl'];
  expect((await rrr('run', '-c', 'near.yaml', '--run', run, '--smoke', ...again)).exitCode).toBe(2);
  expect(existsSync(`${run}-smoke/old`)).toBe(true);
});

test('task check: exit code 2, each problem with its place and its cure', async () => {
  const strict = ['task', 'check', './near.py:Near', '-c', 'near.yaml', '--set', 'task.options.distance=-1'];
  const { exitCode, stdout } = await rrr(...strict, '--rows', '2');
  expect(exitCode).toBe(2);
  expect(stdout).toContain(
    '  user: Use 1,8,3 to make 25.\n  BAD  reference  "1+8*3"  ->  too_far (it makes 25)',
  );
  expect(stdout).toContain(
    'problem 1: rows.jsonl:1: the reference answer "1+8*3" was judged too_far (it makes 25)\n  cure: correct the verifier',
  );
  expect(stdout).toContain('2 rows (0 refused), 8 verdicts');
  expect(stdout).toContain(': 2 problems');
  const json = await rrr(...strict, '--json');
  expect(json.exitCode).toBe(2);
  expect(taskCheckResult.parse(lastLine(json.stdout)).problems).toHaveLength(5);
});

test.each([
  ['a class that is not there', ['./near.py:Far'], "has no class 'Far'"],
  ['a file that is not there', ['./far.py:Near'], 'there is no file'],
  ['a count that is none', ['--rows', '0'], 'whole number'],
])('task check of %s: exit code 2', async (_name, args, message) => {
  const { exitCode, stderr } = await rrr('task', 'check', ...args, '-c', 'near.yaml');
  expect(exitCode).toBe(2);
  expect(stderr).toContain(message);
});

test('data stats', async () => {
  const { exitCode, stdout, stderr } = await rrr('data', 'stats', '-c', 'near.yaml', '--json');
  expect(exitCode, stderr).toBe(0);
  const { rows, splits, duplicates } = dataStatsResult.parse(lastLine(stdout));
  expect([rows, splits.train + splits.test, splits.unused]).toEqual([60, 60, 0]);
  expect(duplicates).toMatchObject({ exact: 0, across_split: 0, near_across_split: null });
  const calls = [
    '--set',
    'task.name=function_calling',
    '--set',
    'task.options={}',
    '--set',
    'data={source: generator, rows: 100}',
  ];
  const people = await rrr('data', 'stats', '-c', 'near.yaml', ...calls);
  expect(people.stdout).toMatch(/^rows +100$/m);
  expect(people.stdout).toMatch(/^tools +8$/m);
  expect(people.stdout).toMatch(/^calls per row +1\.\d+, from 1 to 2$/m);
  expect(people.stdout).toMatch(/^near duplicates across the split +\d+ test queries, \d+ pairs$/m);
});

test('a judge that never ends, in a regular expression too, is named with its line', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rrr-endless-'));
  const near = readFileSync(join(FOLDER, 'near.py'), 'utf8');
  const endless = near.replace(
    '        try:\n',
    "        import re; re.match('(a+)+;', 'a' * 99 + 'b')\n        try:\n",
  );
  writeFileSync(join(folder, 'near.py'), endless);
  const line = endless.split('\n').findIndex((text) => text.includes('re.match')) + 1;
  const args = ['task', 'check', '-c', 'near.yaml', '--set', `task.name=${folder}/near.py:Near`];
  const { exitCode, stderr } = await rrr(...args, '--set', 'workers.call_timeout_s=2');
  expect(stderr).toContain(
    `no answer to check within 2 s; it is in the task's judge, at ${folder}/near.py:${line}\n`,
  );
  expect(stderr).toContain('cure: let the code of the task end in time');
  expect(exitCode).toBe(1);
});
