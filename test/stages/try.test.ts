/** `rrr try` as a user runs it, with fake_worker.py in the place of every worker; with a real model: own-task.test.ts. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runPaths } from '../../src/run/paths.ts';
import { makeFakeHome } from '../fixtures/fake-home.ts';
import { makeModel } from '../fixtures/model.ts';

async function makeHome(...commands: string[]) {
  const { cwd, start } = makeFakeHome({ model: 'base', train: '{steps: 1}' });
  const paths = runPaths(join(cwd, 'runs/a'));
  for (const command of commands) {
    const { exitCode, stderr } = await start([command, '-c', 'a.yaml']);
    expect(exitCode, stderr).toBe(0);
    if (command === 'train') makeModel(paths.trainedModel);
  }
  const ask = async (...args: string[]) => {
    const { exitCode, stdout, stderr } = await start(['try', 'runs/a', ...args]);
    const last = stdout.trimEnd().split('\n').at(-1) ?? '';
    return { exitCode, stdout, stderr, json: args.includes('--json') ? JSON.parse(last) : undefined };
  };
  return { paths, ask };
}

test('a failed query of the evaluation, one by its id, and a typed one', async () => {
  const { paths, ask } = await makeHome('build-failures', 'train', 'eval');
  const journal = readFileSync(paths.evalJournal, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  const failed = journal.find(
    ({ arm, decoding, episode }) => arm === 'base' && decoding === 'greedy' && !episode.first.verdict.passed,
  );
  const chosen = await ask('--decoding', 'greedy', '--json');
  expect(chosen.json).toMatchObject({
    decoding: 'greedy',
    evaluation: 'same',
    episodes: { base: failed.episode },
  });
  expect(Object.keys(chosen.json.episodes)).toEqual(['base', 'trained', 'trained_on_base']);

  const named = await ask('--id', 'test-3');
  const [first, how, meaning] = named.stdout.split('\n');
  expect([first, how]).toEqual(['query test-3  {"n": 3}', 'sampled decoding, seed 0']);
  expect(meaning).toContain("the evaluation's own answers");
  expect(named.stdout).toMatch(
    /^before training\n {2}first try: (passed|failed, missed_target)\n {4}a \d+$/m,
  );
  expect(named.stdout).toMatch(/^after training$/m);

  const changed = journal.map((record) => JSON.stringify(record).replaceAll('"a ', '"A '));
  writeFileSync(paths.evalJournal, `${changed.join('\n')}\n`);
  expect((await ask('--id', 'test-3')).stdout).toContain('not the answers of the evaluation');

  const typed = await ask('--query', 'anything', '--json', '--model', 'trained');
  expect(typed.json).toMatchObject({ id: 'anything', query: '{"n":9007199254740993}', evaluation: null });
  expect(Object.keys(typed.json.episodes)).toEqual(['trained']);

  const unknown = await ask('--id', 'test-9');
  expect([unknown.exitCode, unknown.stderr]).toEqual([2, expect.stringContaining('such as test-0')]);
});

test('where nothing was trained: the base model alone, or the way to a trained one', async () => {
  const { ask } = await makeHome('build-failures');
  const { stdout } = await ask();
  expect(stdout).toContain('query test-0  ');
  expect(stdout).toContain('this is the base model alone');
  expect(stdout).not.toContain('after training');
  const both = await ask('--model', 'both');
  expect([both.exitCode, both.stderr]).toEqual([2, expect.stringContaining('cure: run rrr train first')]);
});
