/** A run is bound to the contents that decide it, not to the folder they lie in. */
import { appendFileSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';
import { beginAttempt, requireFinished } from '../../src/run/attempt.ts';
import { evaluate } from '../../src/stages/evaluate/stage.ts';
import { failures } from '../../src/stages/failures/stage.ts';
import { dataFingerprint } from '../../src/stages/prepare.ts';
import { temporaryFolder } from '../workers/harness.ts';
import { finishStage } from './finish-stage.ts';

const CONFIG = `model: {name: ./model}
task: {name: ./near.py:Near, verifier: {command: [node, ./verify.mjs]}}
data: {source: jsonl, path: rows.jsonl}
eval: {model: ./other}
`;

function makeProject() {
  const project = join(temporaryFolder(), 'project');
  for (const model of ['model', 'other']) {
    mkdirSync(join(project, model), { recursive: true });
    writeFileSync(join(project, model, 'config.json'), '{}');
    writeFileSync(join(project, model, 'tokenizer.json'), '{}');
    writeFileSync(join(project, model, 'model.safetensors'), 'weights');
  }
  for (const file of ['near.py', 'verify.mjs', 'rows.jsonl']) writeFileSync(join(project, file), '{}\n');
  writeFileSync(join(project, 'a.yaml'), CONFIG);
  return project;
}

function load(project: string): Config {
  const { config } = loadConfig({ file: 'a.yaml', sets: [], cwd: project });
  if (!config) throw new Error('the config has problems');
  return config;
}

test('a project that was moved goes on with its run', async () => {
  const project = makeProject();
  const before = load(project);
  for (const stage of [failures, evaluate]) await finishStage(join(project, 'run'), stage, before);
  const data = dataFingerprint(before);
  const moved = `${project}-moved`;
  renameSync(project, moved);
  const config = load(moved);
  const run = join(moved, 'run');
  for (const stage of [failures, evaluate]) {
    expect(() => requireFinished(run, stage, config)).not.toThrow();
    expect(beginAttempt({ run, stage, config, resume: true }).finished).toBe(true);
  }
  expect(dataFingerprint(config)).toBe(data);
});

test.each([
  ['rows.jsonl', 'data.path'],
  ['near.py', 'task.name.file'],
  ['verify.mjs', 'task.verifier.command'],
  ['model/config.json', 'model.name.config.json'],
  ['model/tokenizer.json', 'model.name.tokenizer.json'],
  ['model/model.safetensors', 'model.name.model.safetensors'],
])('another %s is another config', async (file, key) => {
  const project = makeProject();
  const run = join(project, 'run');
  await finishStage(run, failures, load(project));
  appendFileSync(join(project, file), 'more\n');
  const error = (() => {
    try {
      requireFinished(run, failures, load(project));
    } catch (error) {
      return error as { details: string[] };
    }
  })();
  expect(error).toMatchObject({ message: expect.stringContaining('belongs to another config') });
  expect(error?.details).toEqual([expect.stringMatching(new RegExp(`^  ${key}: "?.* -> `))]);
});

test('the evaluation is bound to the model that it was given', async () => {
  const project = makeProject();
  const run = join(project, 'run');
  await finishStage(run, evaluate, load(project));
  appendFileSync(join(project, 'other/config.json'), ' ');
  expect(() => requireFinished(run, evaluate, load(project))).toThrow('belongs to another config');
});
