/** `--set`: what it sets, and what it refuses. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { renderProblems } from '../../src/config/render.ts';
import { temporaryFolder } from '../workers/harness.ts';

const CONFIG = `model: {name: ./model}
task: {verifier: {command: [node, ./verify.mjs]}}
data: {source: generator, rows: 9}
train: {steps: 60}
`;

function load(...sets: string[]) {
  const cwd = temporaryFolder();
  mkdirSync(join(cwd, 'configs/model'), { recursive: true });
  writeFileSync(join(cwd, 'configs/model/config.json'), '{}');
  writeFileSync(join(cwd, 'configs/a.yaml'), CONFIG);
  return { cwd, ...loadConfig({ file: 'configs/a.yaml', sets, cwd }) };
}

test('an item of a list, also of a list that is a default', () => {
  expect(load('eval.modes.0=greedy', 'eval.modes.1=sampled').config?.eval.modes).toEqual([
    'greedy',
    'sampled',
  ]);
});

test('a relative path that is set is relative to the current folder, those that stay to the file', () => {
  const { cwd, config } = load('task.verifier.command.0=./judge');
  expect(config?.task.verifier?.command).toEqual([join(cwd, 'judge'), join(cwd, 'configs/verify.mjs')]);
});

test.each([
  ['train.steps.x=5', 'train.steps: is 60, which has no x'],
  ['eval.modes.7=greedy', 'eval.modes: has no item 7: it is a list with items 0 to 1'],
  ['eval.modes.first=greedy', 'eval.modes: has no item first'],
  ['task.verifier.command.1.x=a', 'task.verifier.command.1: is "./verify.mjs", which has no x'],
  ['model.name.x.y=a', 'model.name: is "./model", which has no x'],
])('%s is refused with its place', (argument, message) => {
  const { config, problems } = load(argument);
  expect(config).toBeUndefined();
  const shown = renderProblems(problems);
  expect(shown).toContain(message);
  expect(shown).toContain(`--set ${argument}\n`);
  expect(shown).toMatch(/\^+/);
});

test.each([
  ['task.prompts.question=Solve #{q} now', 'Solve #{q} now'],
  ['task.prompts.question={q}: yes', '{q}: yes'],
  ['task.prompts.question=[draft', '[draft'],
  ['task.prompts.question=12', '12'],
  ['task.prompts.question=null', 'null'],
  ['task.prompts.question="two\\nlines"', 'two\nlines'],
  ["task.prompts.question='as it is'", 'as it is'],
  ['task.prompts.question="quoted" at first', '"quoted" at first'],
])('a key that holds text gets the text as it is: %s', (argument, text) => {
  expect(load(argument).config?.task.prompts.question).toBe(text);
});

test('a key of the task itself is YAML, as its type is not known', () => {
  expect(load('task.options.distance=2').config?.task.options).toEqual({ distance: 2 });
});

test.each([
  ['Solve', 1],
  ['Solve {{this}}', 1],
  ['Solve {question}', 0],
  ['{{"answer": {question}}}', 0],
])('a question without a placeholder is warned of: %s', (question, warnings) => {
  const loaded = load(`task.prompts.question=${question}`);
  expect(loaded.config).toBeDefined();
  expect(loaded.warnings.map(({ message }) => message)).toEqual(
    Array(warnings).fill('holds no placeholder: every query gets the same prompt'),
  );
});
