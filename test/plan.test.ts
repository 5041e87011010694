/** `rrr plan` and `rrr init`: every model of the paper on every kind of machine, and the command lines. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { beforeEach, describe, expect, test } from 'vitest';
import { parseConfig } from '../src/config/load.ts';
import { PAPER_MODELS, type PaperTask, presetText } from '../src/config/preset.ts';
import type { Config } from '../src/config/schema.ts';
import { chooseSettings } from '../src/inspect/question.ts';
import { resourcesResult } from '../src/protocol/planning.ts';
import { planStage } from '../src/stages/plan.ts';
import { findStage, RUN_STAGES } from '../src/stages/table.ts';

const GIB = 2 ** 30;
/** Several command lines of a second each, on a machine that does much else. */
const BUSY_MS = 180_000;
const TASKS = Object.keys(PAPER_MODELS) as PaperTask[];
const MODELS = [...new Set(TASKS.flatMap((task) => [...PAPER_MODELS[task]]))];
const HARDWARE = [
  { gpus: '1x24', nodes: 1 },
  { gpus: '1x80', nodes: 1 },
  { gpus: '4x80', nodes: 1 },
  { gpus: '8x80', nodes: 1 },
  { gpus: '8x80', nodes: 2 },
];

function load(text: string): Config {
  const { config, problems, warnings } = parseConfig({ file: 'a.yaml', text, sets: [], cwd: process.cwd() });
  expect([...problems, ...warnings]).toEqual([]);
  return config as Config;
}

test('for every model, task and machine the config that init writes loads, dry-runs, plans and fits, or is impossible', {
  timeout: BUSY_MS,
}, async () => {
  const signal = AbortSignal.timeout(BUSY_MS);
  const config = load(presetText({ model: MODELS[0] as string, task: 'countdown' }));
  const choices = await chooseSettings(
    { models: MODELS, hardware: HARDWARE, fetch: false },
    { config, signal },
  );
  expect(choices).toHaveLength(MODELS.length * HARDWARE.length);
  const impossible = choices.flatMap((choice) => (choice.possible ? [] : [`${choice.model} ${choice.gpus}`]));
  expect(impossible).toEqual([
    'Qwen/Qwen2.5-7B-Instruct 1',
    'meta-llama/Llama-3.1-8B-Instruct 1',
    'Qwen/Qwen2-7B-Instruct 1',
  ]);

  const asked: { config: Config; gpus: string; nodes: number }[] = [];
  for (const [index, choice] of choices.entries()) {
    if (!choice.possible) continue;
    for (const task of TASKS) {
      const made = load(presetText({ model: choice.model, task, settings: choice }));
      for (const name of RUN_STAGES) {
        const plan = await planStage(findStage(name), made, '/nowhere', RUN_STAGES);
        expect(plan.missing).toEqual([]);
      }
      asked.push({ config: made, ...(HARDWARE[index % HARDWARE.length] as (typeof HARDWARE)[number]) });
    }
  }
  const input = asked.map((each) => `${JSON.stringify(each)}\n`).join('');
  const { stdout } = await execa('.venv/bin/python', ['test/fixtures/plan_all.py'], { input });
  const found = stdout.split('\n').map((line) => resourcesResult.parse(JSON.parse(line)));
  expect(found).toHaveLength(asked.length);
  for (const { training, warnings, hardware } of found) {
    expect(warnings).toEqual([]);
    expect(training.fits).toBe(true);
    expect(training.total / GIB).toBeLessThanOrEqual(hardware.card === 24 * GIB ? 22 : 76);
    expect(training.ranks).toBe(hardware.gpus * hardware.nodes);
  }
});

describe('the command lines', { timeout: BUSY_MS }, () => {
  let cwd: string;
  beforeEach(() => {
    cwd = mkdtempSync(join(tmpdir(), 'rrr-plan-'));
  });
  const rrr = (...args: string[]) =>
    execa('node', [resolve('dist/main.js'), ...args], {
      cwd,
      reject: false,
      env: { HF_HUB_OFFLINE: '1', RRR_PYTHON: resolve('.venv/bin/python') },
    });
  const init = (...args: string[]) =>
    rrr('init', '--model', 'Qwen/Qwen2.5-7B-Instruct', '--task', 'countdown', ...args);
  const json = (stdout: string) => JSON.parse(stdout.split('\n').at(-1) as string);

  test('init writes a config that says why, and plan counts what it takes', async () => {
    const made = await init('--gpus', '8x80', '--out', 'mine.yaml');
    expect(made.exitCode).toBe(0);
    expect(made.stderr).toContain('sharding: a whole copy a GPU would need');
    expect(made.stdout).toBe('wrote mine.yaml\nnext: rrr plan -c mine.yaml');
    const text = readFileSync(join(cwd, 'mine.yaml'), 'utf8');
    expect(text).toMatch(/^# Written by: rrr init --model .* --out mine\.yaml$/m);
    expect(text).toMatch(/^ {2}# a whole copy a GPU would need \d+ GiB of 76, .*\n {2}sharding: fsdp2$/m);

    const plan = await rrr('plan', '-c', 'mine.yaml', '--price', '2', '--set', 'train.steps=100');
    expect(plan.stderr).toBe('');
    expect(plan.exitCode).toBe(0);
    for (const part of [
      'rrr build-failures would do this:',
      'rrr eval would do this:',
      '8 x 80.0 GiB (h100)',
    ])
      expect(plan.stdout).toContain(part);
    expect(plan.stdout).toMatch(/^ +in all +\d+\.\d hours, \d+ GPU hours, cost \d+ at 2 a GPU hour$/m);
    expect(existsSync(join(cwd, 'runs'))).toBe(false);

    const args = ['plan', '-c', 'mine.yaml', '--price', '2', '--json', '--assume', 'failure_rate=0.5'];
    const { stages, resources } = json((await rrr(...args)).stdout);
    expect(stages.map(({ command }: { command: string }) => command)).toEqual([
      'build-failures',
      'train',
      'eval',
    ]);
    expect(resources.cost).toBeCloseTo(2 * resources.gpu_hours);
    expect(resources.gpu_hours).toBeCloseTo(8 * resources.hours);
    const steps = resources.stages.find(({ stage }: { stage: string }) => stage === 'train');
    const assumed = (wanted: string) =>
      resources.assumptions.find(({ name }: { name: string }) => name === wanted);
    expect(steps.hours * 3600).toBeCloseTo(assumed('start_s').value + 1750 * resources.step.total);
    expect(assumed('failure_rate')).toMatchObject({ value: 0.5, why: expect.stringContaining('--assume') });
  });

  test('a run that has failures tells the failure rate and the lengths', async () => {
    await init('--gpus', '8x80', '--out', 'mine.yaml');
    mkdirSync(join(cwd, 'first/failures'), { recursive: true });
    const counts = { queries: 9, kept: 9, failures: 9, too_long: 0, refused: 0, wasted_draws: 0, kinds: {} };
    const summary = { ...counts, draws: 10, pass_rate: 0.25, prompt_tokens: 1230, completion_tokens: 4560 };
    writeFileSync(join(cwd, 'first/failures/summary.json'), JSON.stringify(summary));
    const args = ['plan', '-c', 'mine.yaml', '--json', '--assume', 'question_tokens=99'];
    const { resources } = json((await rrr(...args, '--like', 'first')).stdout);
    const told = Object.fromEntries(
      resources.assumptions.map(({ name, value }: { name: string; value: number }) => [name, value]),
    );
    expect(told).toMatchObject({
      failure_rate: 0.75,
      question_tokens: 99,
      answer_tokens: 456,
      train_queries: 15000,
    });
    const own = json((await rrr(...args)).stdout).resources.assumptions;
    const rate = own.find(({ name }: { name: string }) => name === 'failure_rate');
    expect(rate).toMatchObject({ value: 0.683, why: expect.stringContaining('notes on the paper') });
  });

  test('what does not fit is a warning with its cure, and exit code 2', async () => {
    await init('--gpus', '8x80', '--out', 'mine.yaml');
    const { exitCode, stdout } = await rrr('plan', '-c', 'mine.yaml', '--set', 'train.sharding=none');
    expect(exitCode).toBe(2);
    expect(stdout).toMatch(/^WARNING: training does not fit: .* the largest part is Adam's moments/m);
    expect(stdout).toMatch(/^cure: set .*train\.sharding: fsdp2/m);
    const narrow = await rrr('plan', '-c', 'mine.yaml', '--gpus', '4x80');
    expect(narrow.exitCode).toBe(2);
    expect(narrow.stdout).toContain('8 sampling workers need 8 GPUs, and there are 4');
  });

  test('the untrained models that init writes as a comment are an evaluation', async () => {
    const { config } = json((await init('--gpus', '8x80', '--json')).stdout);
    const [written, baselines] = config.split('# Untrained');
    writeFileSync(join(cwd, 'a.yaml'), written + baselines.replace(/^.*\n/, '').replaceAll(/^# /gm, ''));
    const { stdout, exitCode } = await rrr('eval', '-c', 'a.yaml', '--dry-run', '--json');
    expect(exitCode).toBe(0);
    expect(json(stdout).work.arms).toContain('Qwen2.5-72B');
  });

  test('init to stdout, for a task of one and data of its own', async () => {
    const own = resolve('test/fixtures/own-task');
    const args = ['--model', 'microsoft/Phi-3.5-mini-instruct', '--task', `${own}/near.py:Near`];
    const made = await rrr('init', ...args, '--data', `${own}/rows.jsonl`, '--gpus', '1x24');
    expect(made.exitCode).toBe(0);
    writeFileSync(join(cwd, 'near.yaml'), made.stdout);
    expect(made.stdout).toContain('targets: ["qkv_proj"'.replaceAll('"', ''));
    const plan = await rrr(
      'plan',
      '-c',
      'near.yaml',
      '--gpus',
      '1x24',
      '--set',
      'task.options={distance: 2}',
    );
    expect(plan.stdout).toContain('LoRA of rank 32');
    expect(plan.exitCode).toBe(0);
  });

  test.each([
    [
      'a model too large',
      ['--model', 'Qwen/Qwen2.5-72B-Instruct'],
      "can't be trained on these GPUs",
      'eval.baselines',
    ],
    [
      'a model that is not known',
      ['--model', 'Writer/palmyra-mini'],
      "doesn't know the model's shape",
      'config.json',
    ],
    ['a task that is none', ['--task', 'countdwn'], 'there is no task countdwn', 'function_calling'],
    ['a task without data', ['--task', './a.py:A'], 'which data', '--data'],
    ['data that is not there', ['--data', 'no.jsonl'], 'there is no file', 'correct the path'],
    ['GPUs that are none', ['--gpus', '8xtpu'], 'no such GPUs', '8x80'],
    ['a file that is there', ['--out', 'there.yaml'], 'is there already', '--out'],
  ])('init refuses %s', async (_name, args, message, cure) => {
    writeFileSync(join(cwd, 'there.yaml'), 'mine');
    const { exitCode, stderr } = await init('--gpus', '8x80', ...args);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(message);
    expect(stderr).toMatch(new RegExp(`^\\s*cure: .*${cure.replaceAll('.', '\\.')}`, 'm'));
    expect(readFileSync(join(cwd, 'there.yaml'), 'utf8')).toBe('mine');
  });

  test.each([
    ['no config', [], 'name the config with -c FILE'],
    ['an assumption without a number', ['--assume', 'mfu'], 'It must be a number from 0.'],
    ['a price that is none', ['--price', 'free'], 'It must be a number from 0.'],
    ['a table of no task', ['--table', 'chess'], 'there is no table of chess'],
  ])('plan refuses %s', async (_name, args, message) => {
    const { exitCode, stderr } = await rrr('plan', ...args);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(message);
  });
});
