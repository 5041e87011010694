import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { renderProblems } from '../../src/config/render.ts';

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'rrr-config-'));
  mkdirSync(join(root, 'configs'));
  mkdirSync(join(root, 'models/good'), { recursive: true });
  mkdirSync(join(root, 'models/empty'));
  writeFileSync(join(root, 'models/good/config.json'), '{}');
  writeFileSync(join(root, 'rows.jsonl'), '{}\n');
  mkdirSync(join(root, 'rows'));
  for (const name of ['math500', 'mmlu_pro', 'MMLU-Pro-500'])
    writeFileSync(join(root, `rows/${name}.jsonl`), '');
});

function load(text: string, ...sets: string[]) {
  writeFileSync(join(root, 'configs/a.yaml'), text);
  return loadConfig({ file: 'configs/a.yaml', sets, cwd: root });
}

const SLURM = 'launch: {kind: slurm, slurm: {nodes: 2, gpus_per_node: 4}}\n';
const CPUS = 'launch: {kind: slurm, slurm: {nodes: 2}}\n';

/** What a person would read, without the name of the temporary folder. */
function render(text: string, ...sets: string[]): string {
  const { problems, warnings } = load(text, ...sets);
  const shown = [
    renderProblems(problems),
    warnings.length > 0 ? `warnings\n${renderProblems(warnings)}` : '',
  ];
  return shown.filter(Boolean).join('\n\n').replaceAll(root, 'ROOT');
}

const GOOD = `model:
  name: ../models/good
data:
  source: generator
  rows: 100
`;

test('a good config comes back resolved, with nothing to say', () => {
  const { config, problems, warnings } = load(GOOD);
  expect(problems).toEqual([]);
  expect(warnings).toEqual([]);
  expect(config?.model.name).toBe(join(root, 'models/good'));
  expect(config?.data.train_fraction).toBe(0.9);
  expect(config && 'python' in config).toBe(false);
});

test('a task in a file and a verifier of the user are found from the config file', () => {
  const text = `${GOOD}task:\n  name: ../tasks/sum.py:Sum\n  verifier: {command: [node, ./verify.mjs, --strict]}\n`;
  const { config, problems } = load(text);
  expect(problems).toEqual([]);
  expect(config?.task.name).toBe(join(root, 'tasks/sum.py:Sum'));
  expect(config?.task.verifier?.command).toEqual(['node', join(root, 'configs/verify.mjs'), '--strict']);
  expect(config?.task.verifier?.timeout_s).toBe(10);
  expect(load(GOOD, 'task.name=my.tasks:Sum').config?.task.name).toBe('my.tasks:Sum');
});

test('paths are relative to the file that names them, in --set to the current folder, and ~ is home', () => {
  const jsonl = GOOD.replace('generator', 'jsonl');
  expect(load(`${jsonl}  path: ../rows.jsonl\n`).config?.data.path).toBe(join(root, 'rows.jsonl'));
  expect(load(jsonl, 'data.path=rows.jsonl').config?.data.path).toBe(join(root, 'rows.jsonl'));
  const files = `${GOOD}benchmarks: {source: files, path: ../rows, tasks: [math]}\n`;
  expect(load(files).config?.benchmarks.path).toBe(join(root, 'rows'));
  expect(load(GOOD, 'model.name=./models/good').config?.model.name).toBe(join(root, 'models/good'));
  expect(load(GOOD, 'model.name=Qwen/Qwen2.5-1.5B-Instruct').config?.model.name).toBe(
    'Qwen/Qwen2.5-1.5B-Instruct',
  );
  expect(render(GOOD, 'model.name=~/no-such-model')).toContain(`no folder ${process.env.HOME}/no-such-model`);
});

test('--set takes any YAML value, makes sections, and the last one wins', () => {
  const { config, problems } = load(
    GOOD,
    'train.steps=7',
    'train.steps=9',
    'eval.modes=[greedy]',
    'task.prompts={system: "a: b"}',
    'sampling.max_answer_tokens=64',
  );
  expect(problems).toEqual([]);
  expect(config?.train.steps).toBe(9);
  expect(config?.eval.modes).toEqual(['greedy']);
  expect(config?.task.prompts.system).toBe('a: b');
});

test('<< takes over what an anchor holds, but for what is written beside it', () => {
  const { config, problems } = load(
    `${GOOD}workers: &few {max_restarts: 7, devices: ["1"]}\ntrain: {<<: *few, devices: ["0"], steps: 3}\n`,
  );
  expect(problems).toEqual([]);
  expect(config?.train).toMatchObject({ max_restarts: 7, devices: ['0'], steps: 3 });
});

describe('limits are part of what is allowed', () => {
  test.each([
    ['failures: {max_draws: 3, failures_per_query: 3}', 'failures: {max_draws: 3, failures_per_query: 4}'],
    ['sampling: {max_answer_tokens: 1791}', 'sampling: {max_answer_tokens: 1792}'],
    ['train: {batch_size: 64, micro_batch_size: 64}', 'train: {batch_size: 64, micro_batch_size: 128}'],
    ['train: {batch_size: 8}', 'train: {batch_size: 4}'],
    ['train: {processes: 8}', 'train: {processes: 3}'],
    ['train: {devices: ["0", "1"], processes: 2}', 'train: {devices: ["0", "1"], processes: 4}'],
    [
      'train: {devices: ["0", "1"], micro_batch_size: 128}',
      'train: {devices: ["0", "1"], micro_batch_size: 256}',
    ],
    ['train: {processes: 2, sharding: fsdp2}', 'train: {processes: 1, sharding: fsdp2}'],
    ['train: {sharding: fsdp2}', 'train: {sharding: fsdp2, lora: {}}'],
    ['workers: {count: 2, devices: ["0", "1"]}', 'workers: {count: 2, devices: ["0"]}'],
    [
      'workers: {devices: ["0,1"]}\nengine: {tensor_parallel: 2}',
      'workers: {devices: ["0,1"]}\nengine: {tensor_parallel: 3}',
    ],
    [`${SLURM}workers: {count: 8}`, `${SLURM}workers: {count: 9}`],
    [`${SLURM}engine: {tensor_parallel: 4}`, `${SLURM}engine: {tensor_parallel: 5}`],
    [`${SLURM}train: {processes: 8}`, `${SLURM}train: {processes: 16}`],
    [`${SLURM}train: {processes: 4}`, `${SLURM}train: {processes: 5, batch_size: 40}`],
    [`${SLURM}train: {batch_size: 16}`, `${SLURM}train: {batch_size: 12, num_generations: 4}`],
    [SLURM, `${SLURM}workers: {devices: ["0"]}`],
    [SLURM, `${SLURM}train: {devices: ["0", "1"]}`],
    [`${CPUS}workers: {count: 99}`, CPUS.replace('nodes', 'gres: "gpu:8", nodes')],
    [`${CPUS}train: {processes: 2}`, `${CPUS}train: {processes: 5, batch_size: 40}`],
    [`seed: ${2 ** 31 - 1}`, `seed: ${2 ** 31}`],
    ['engine: {gpu_memory_utilization: 1}', 'engine: {gpu_memory_utilization: 1.01}'],
    ['eval: {modes: [greedy]}', 'eval: {modes: []}'],
    ['benchmarks: {max_gen_toks: 4095}', 'benchmarks: {max_gen_toks: 4096}'],
    ['benchmarks: {shots: {gsm8k: 5}}', 'benchmarks: {shots: {gsm8k: 6}}'],
    [
      'benchmarks: {source: files, path: ../rows, tasks: [math]}',
      'benchmarks: {source: files, path: ../rows, tasks: [math, hellaswag]}',
    ],
  ])('%s, but not %s', (good, bad) => {
    expect(load(`${GOOD}${good}\n`).problems).toEqual([]);
    expect(load(`${GOOD}${bad}\n`).problems).toHaveLength(1);
  });

  test('fractions may be the whole', () => {
    expect(load(`${GOOD}  test_fraction: 0.7\n  train_fraction: 0.3\n`).problems).toEqual([]);
    expect(load(`${GOOD}  test_fraction: 0.7\n  train_fraction: 0.301\n`).problems).toHaveLength(1);
  });
});

test('unset optional keys stay absent in the JSON that workers read', () => {
  const { config } = load(GOOD);
  expect(Object.keys(JSON.parse(JSON.stringify(config)).data).sort()).toEqual([
    'columns',
    'hub_split',
    'on_bad_row',
    'rows',
    'source',
    'test_fraction',
    'train_fraction',
  ]);
});

describe('what a person reads', () => {
  const cases: [name: string, text: string, ...sets: string[]][] = [
    [
      'several problems of both kinds at once',
      `${GOOD.replace('rows: 100', 'rows: 0')}  test_frac: 0.5\ntrain:\n  batch_size: 100\n  loss_type: drgrpo\n  num_generations: 8\n`,
    ],
    ['unknown section, nothing close', `${GOOD}wandb:\n  project: x\n`],
    ['unknown key, one edit away', GOOD, 'train.stepss=4'],
    ['a wrong --set value', GOOD, 'train.learning_rate=fast'],
    ['a --set without value', GOOD, 'train.steps'],
    ['a --set that is not YAML', GOOD, 'eval.modes=[greedy'],
    ['a --set below a value', GOOD, 'seed.x=1'],
    ['not YAML', 'model:\n  name: [1, 2\ndata: {}\n'],
    ['an alias of nothing', `${GOOD}seed: *one\n`],
    ['a key twice', `${GOOD}seed: 1\nseed: 2\n`],
    ['an empty file', ''],
    ['a list instead of a mapping', '- a\n- b\n'],
    ['a wrong list item', `${GOOD}eval:\n  modes:\n    - sampled\n    - gredy\n`],
    ['missing source key', 'model: {name: ../models/good}\ndata: {source: jsonl}\n'],
    ['no data file', 'model: {name: ../models/good}\ndata: {source: jsonl, path: ../nope.jsonl}\n'],
    ['a folder for a data file', 'model: {name: ../models/good}\ndata: {source: parquet, path: ../models}\n'],
    ['no model folder', GOOD.replace('models/good', 'models/nope')],
    ['a model folder without a model', GOOD.replace('models/good', 'models/empty')],
    ['a folder written like a hub id', GOOD.replace('../models/good', 'models/a/b')],
    ['fractions above one', `${GOOD}  test_fraction: 0.3\n  train_fraction: 0.8\n`],
    ['an episode that does not fit', `${GOOD}sampling:\n  max_answer_tokens: 2000\n`],
    ['temperature zero', `${GOOD}sampling: {temperature: 0}\n`],
    ['temperature that biases training', `${GOOD}sampling: {temperature: 0.7}\n`],
    [
      'devices and workers',
      `${GOOD}workers:\n  count: 3\n  devices: ["0,1", "2"]\nengine: {tensor_parallel: 2}\n`,
    ],
    ['more devices than workers', `${GOOD}workers:\n  count: 2\n  devices: ["0", "1", "2"]\n`],
    ['openai without an endpoint', `${GOOD}engine: {name: openai}\n`],
    ['a key of another section', `${GOOD}workers: {enforce_eager: true}\n`],
    ['failures and draws', `${GOOD}failures: {max_draws: 2, failures_per_query: 3}\n`],
    ['micro batch', `${GOOD}train:\n  batch_size: 64\n  micro_batch_size: 24\n`],
    ['processes and devices', `${GOOD}train: {devices: ["0", "1"], processes: 3, batch_size: 64}\n`],
    ['several GPUs in one entry', `${GOOD}train: {devices: ["0,1"]}\n`],
    ['a batch that processes can not share', `${GOOD}train: {devices: ["0", "1", "2"]}\n`],
    ['a micro batch beyond a share', `${GOOD}train: {processes: 4, micro_batch_size: 128}\n`],
    ['sharding over one process', `${GOOD}train: {devices: ["0"], sharding: fsdp2}\n`],
    ['adapters of a sharded model', `${GOOD}train: {sharding: fsdp2, lora: {rank: 8}}\n`],
    ['a mode twice', `${GOOD}eval: {modes: [greedy, greedy]}\n`],
    ['a tracker twice', `${GOOD}train: {report_to: [wandb, tensorboard, wandb]}\n`],
    ['a key of another source', `${GOOD}  dataset: a/b\n`],
    ['benchmark files without a folder', `${GOOD}benchmarks: {source: files}\n`],
    ['a folder that no benchmark is read from', `${GOOD}benchmarks: {path: ../rows}\n`],
    [
      'a folder without the file of a benchmark, and with two of another',
      `${GOOD}benchmarks: {source: files, path: ../rows, tasks: [gsm8k, mmlu_pro]}\n`,
    ],
    ['workers beyond the GPUs of a Slurm job', `${GOOD}${SLURM}workers: {count: 9}\n`],
    ['named GPUs in a Slurm job', `${GOOD}${SLURM}workers: {devices: ["0"]}\n`],
    ['processes that nodes can not share', `${GOOD}${SLURM}train: {processes: 5, batch_size: 40}\n`],
    ['a benchmark twice', `${GOOD}benchmarks: {tasks: [math, math]}\n`],
  ];
  test.each(cases)('%s', (_name, text, ...sets) => {
    expect(render(text, ...sets)).toMatchSnapshot();
  });

  test('no file', () => {
    const { problems } = loadConfig({ file: 'configs/nope.yaml', sets: [], cwd: root });
    expect(renderProblems(problems).replaceAll(root, 'ROOT')).toMatchSnapshot();
  });

  test.skipIf(process.getuid?.() === 0)('a file without permission', () => {
    writeFileSync(join(root, 'secret.jsonl'), '{}');
    chmodSync(join(root, 'secret.jsonl'), 0);
    expect(render('model: {name: ../models/good}\ndata: {source: jsonl, path: ../secret.jsonl}\n')).toContain(
      'not readable',
    );
  });
});

test('a section without its keys has its defaults', () => {
  const { config, problems } = load(
    `${GOOD}train:\nsampling: # {temperature: 1}\ntask: {prompts: , options: }\n`,
  );
  expect(problems).toEqual([]);
  expect(config).toEqual(load(GOOD).config);
  expect(render('model:\ndata: {source: generator, rows: 1}\n')).toContain('model.name: is missing');
  // LoRA without its keys may mean either: with it, or without.
  expect(render(`${GOOD}train:\n  lora:\n`)).toContain(
    'train.lora: must be a section of keys and values, is empty',
  );
});

test.each([
  ['model: {name: ../models/good, revision: 0012}', 'quote it: "0012"'],
  ['model: {name: 7}', 'quote it: "7"'],
  ['data: {source: generator, rows: 9, columns: {nums: 1e3}}', 'quote it: "1e3"'],
  ['workers: {devices: [0]}', 'quote it: "0"'],
  ['task: {name: yes}', undefined],
  ['task: {prompts: {system: true}}', 'quote it: "true"'],
])('%s is text without its quotes', (line, cure) => {
  const [section] = line.split(':');
  const rest = GOOD.replace(new RegExp(`^${section}:\\n( .*\\n)+`, 'm'), '');
  expect(load(`${rest}${line}\n`).problems.map((problem) => problem.cure)).toEqual(cure ? [cure] : []);
});

test.each(['.inf', '-.inf', '.nan'])('%s is shown as it is written', (value) => {
  expect(render(`${GOOD}train: {learning_rate: ${value}}\n`)).toContain(
    `must be a number above 0, is ${value}`,
  );
});

test.each([
  ['train: {lr: 1e-5}', 'did you mean learning_rate?'],
  ['train: {Steps: 3}', 'did you mean steps?'],
  ['train: {scheduler: cosine}', 'did you mean lr_scheduler?'],
  ['train: {epochs: 3}', undefined],
  ['data: {source: csv}', undefined],
  ['data: {source: json, path: ../rows.jsonl}', 'did you mean jsonl?'],
])('what was meant by %s: %s', (line, cure) => {
  const rest = line.startsWith('data') ? GOOD.replace(/^data:\n( .*\n)+/m, '') : GOOD;
  const [found] = load(`${rest}${line}\n`).problems.map((problem) => problem.cure);
  if (cure === undefined) expect(found).not.toContain('did you mean');
  else expect(found).toBe(cure);
});

test('a folder that holds an adapter or GGUF is told as such', () => {
  for (const [name, file] of [
    ['lora', 'adapter_config.json'],
    ['quantised', 'model-q4.gguf'],
  ] as const) {
    mkdirSync(join(root, 'models', name), { recursive: true });
    writeFileSync(join(root, 'models', name, file), '{}');
  }
  const named = (path: string) => render(GOOD.replace('../models/good', `../models/${path}`));
  expect(named('lora')).toMatch(
    /holds a LoRA adapter, no whole model\n.*\n.*\n {2}cure: merge it .*train\/model/,
  );
  for (const path of ['quantised', 'quantised/model-q4.gguf'])
    expect(named(path)).toMatch(
      /is a model in GGUF, which can't be trained\n.*\n.*\n {2}cure: name the model/,
    );
});
