/** What must hold between keys, and between keys and files. */
import { accessSync, constants, existsSync, readdirSync, statSync } from 'node:fs';
import { basename, isAbsolute, join } from 'node:path';
import { findBenchmarkFiles } from './benchmarks.ts';
import type { Finding } from './finding.ts';
import { ranksOf } from './ranks.ts';
import type { Config } from './schema.ts';
import { checkSlurm } from './slurm-rules.ts';

export function* checkRules(config: Config): Generator<Finding> {
  yield* checkModel(config);
  yield* checkTask(config);
  yield* checkData(config);
  yield* checkSampling(config);
  yield* checkWorkers(config);
  yield* checkFailures(config);
  yield* checkRanks(config);
  yield* checkTrain(config);
  yield* checkEval(config);
  yield* checkBenchmarks(config);
  if (config.launch.kind === 'slurm') yield* checkSlurm(config);
}

const HUB_ID = /^[\w.-]+(\/[\w.-]+)?$/;

function* checkModel({ model, python }: Config): Generator<Finding> {
  yield* checkModelName('model.name', model.name);
  if (isAbsolute(model.name) && model.revision !== undefined) {
    const keys = ['model.revision', 'model.name'] as const;
    yield { keys, message: 'a folder has no revisions', cure: 'remove it', warning: true };
  }
  if (python !== undefined && !existsSync(python)) {
    yield {
      keys: ['python'],
      message: `there is no ${python}`,
      cure: 'correct the path, or remove the key to use the one that rrr setup makes',
    };
  }
}

function* checkModelName(key: string, name: string): Generator<Finding> {
  const keys = [key] as const;
  if (!isAbsolute(name)) {
    if (existsSync(name)) {
      const message = `${name} is read as a hub id, but a folder of that name is here`;
      yield {
        keys,
        message,
        cure: 'a folder starts with ./ ../ / or ~, relative to the config file',
        warning: true,
      };
    }
    if (!HUB_ID.test(name)) {
      yield { keys, message: `${name} is no hub id`, cure: 'write owner/name, or ./folder for a folder' };
    }
  } else if (!existsSync(name)) {
    yield {
      keys,
      message: `there is no folder ${name}`,
      cure: 'correct the path (it is relative to the config file), or make the model first',
    };
  } else if (!existsSync(join(name, 'config.json'))) {
    yield { keys, ...noModel(name) };
  }
}

function noModel(path: string): Pick<Finding, 'message' | 'cure'> {
  if (existsSync(join(path, 'adapter_config.json'))) {
    const merged = 'what rrr train made is merged in train/model';
    const cure = `merge it into its base model (peft: merge_and_unload, then save_pretrained) and name that folder; ${merged}`;
    return { message: `${path} holds a LoRA adapter, no whole model`, cure };
  }
  const files = statSync(path).isDirectory() ? readdirSync(path) : [path];
  if (files.some((file) => file.endsWith('.gguf'))) {
    const cure = 'name the model that it was made from';
    return { message: `${path} is a model in GGUF, which can't be trained`, cure };
  }
  return {
    message: `${path} holds no config.json`,
    cure: 'name the folder of a model saved by transformers',
  };
}

/** Of Python's str.format: {name}, where {{ and }} stand for braces. */
const PLACEHOLDER = /\{[^{}]+\}/;

function* checkTask({ task }: Config): Generator<Finding> {
  const { question } = task.prompts;
  if (question !== undefined && !PLACEHOLDER.test(question.replaceAll(/\{\{|\}\}/g, ''))) {
    yield {
      keys: ['task.prompts.question'],
      message: 'holds no placeholder: every query gets the same prompt',
      cure: "write {name} where a field of the query belongs; rrr task check shows the task's placeholders",
      warning: true,
    };
  }
}

/** The keys of data that only some sources read. */
const SOURCE_KEYS = {
  path: ['jsonl', 'parquet'],
  dataset: ['hub'],
  subset: ['hub'],
  revision: ['hub'],
  columns: ['hub', 'jsonl', 'parquet'],
} as const;

function* checkData({ data }: Config): Generator<Finding> {
  const { source } = data;
  const missing = (key: string, cure: string): Finding => ({
    keys: ['data.source', `data.${key}`],
    message: `${source} needs data.${key}, which is missing`,
    cure,
  });
  if (source === 'hub' && data.dataset === undefined)
    yield missing('dataset', 'write data.dataset: owner/name');
  if (source === 'generator' && data.rows === undefined)
    yield missing('rows', 'write data.rows: how many problems to generate');
  if (source === 'jsonl' || source === 'parquet') {
    if (data.path === undefined) yield missing('path', 'write data.path: the file');
    else yield* checkFile('data.path', data.path);
  }
  for (const [key, sources] of Object.entries(SOURCE_KEYS)) {
    const value = data[key as keyof typeof SOURCE_KEYS];
    const written = typeof value === 'object' ? Object.keys(value).length > 0 : value !== undefined;
    if (written && !(sources as readonly string[]).includes(source)) {
      const message = `is not used: data.source is ${source}`;
      yield { keys: [`data.${key}`, 'data.source'], message, cure: 'remove it', warning: true };
    }
  }
  const share = data.test_fraction + data.train_fraction;
  if (share > 1 + 1e-9) {
    yield {
      keys: ['data.train_fraction', 'data.test_fraction'],
      message: `test_fraction ${data.test_fraction} and train_fraction ${data.train_fraction} are more than the whole`,
      cure: `write train_fraction: ${Number((1 - data.test_fraction).toFixed(6))}, or remove it to use all that is not test`,
    };
  }
}

function* checkFile(key: string, path: string): Generator<Finding> {
  const problem = (message: string): Finding => ({
    keys: [key],
    message,
    cure: 'correct the path: it is relative to the config file, in --set to the current folder',
  });
  if (!existsSync(path)) return yield problem(`there is no file ${path}`);
  if (!statSync(path).isFile()) return yield problem(`${path} is not a file`);
  try {
    accessSync(path, constants.R_OK);
  } catch {
    yield { keys: [key], message: `${path} is not readable for this user`, cure: 'change its permissions' };
  }
}

function* checkSampling({ sampling, model }: Config): Generator<Finding> {
  const { max_answer_tokens: answer, max_reflection_tokens: reflection, temperature, top_p } = sampling;
  if (2 * answer + reflection >= model.max_model_len) {
    yield {
      keys: ['model.max_model_len', 'sampling.max_answer_tokens', 'sampling.max_reflection_tokens'],
      message: `max_model_len ${model.max_model_len} can't hold an episode: first try ${answer} + reflection ${reflection} + second try ${answer}, and the prompt`,
      cure: 'raise model.max_model_len, or lower the limits in the sampling section',
    };
  }
  if (temperature === 0) {
    yield {
      keys: ['sampling.temperature'],
      message: 'temperature 0 makes every draw of a query the same: nothing to search, nothing to reinforce',
      cure: 'write 1; for greedy decoding in the evaluation there is eval.modes: [greedy]',
    };
  } else if (temperature !== 1 || top_p !== 1) {
    yield {
      keys: [temperature !== 1 ? 'sampling.temperature' : 'sampling.top_p'],
      message: `temperature ${temperature} and top_p ${top_p} bias training: the trainer's probabilities are those of temperature 1 and top_p 1`,
      cure: 'use 1 and 1 for training',
      warning: true,
    };
  }
}

function* checkWorkers({ engine, workers }: Config): Generator<Finding> {
  const { devices, count } = workers;
  const { tensor_parallel } = engine;
  if (devices && devices.length !== count) {
    const message = `${devices.length} devices for ${count} workers`;
    yield {
      keys: ['workers.devices', 'workers.count'],
      message,
      cure: 'write one value a worker, or change workers.count',
    };
  }
  const uneven = devices?.find((value) => value.split(',').length !== tensor_parallel);
  if (uneven !== undefined) {
    const message = `device "${uneven}" names ${uneven.split(',').length} GPU(s), tensor_parallel is ${tensor_parallel}`;
    yield {
      keys: ['workers.devices', 'engine.tensor_parallel'],
      message,
      cure: 'write as many GPUs a worker as tensor_parallel says',
    };
  }
  if (engine.name === 'openai' && !engine.openai) {
    const cure = 'write engine.openai.base_urls: [http://host:8000/v1]';
    yield {
      keys: ['engine.name', 'engine.openai'],
      message: 'the engine openai needs engine.openai, which is missing',
      cure,
    };
  }
}

function* checkFailures({ failures }: Config): Generator<Finding> {
  if (failures.failures_per_query > failures.max_draws) {
    yield {
      keys: ['failures.failures_per_query', 'failures.max_draws'],
      message: `${failures.failures_per_query} failures can't come from ${failures.max_draws} draws`,
      cure: 'lower failures_per_query, or raise max_draws',
    };
  }
}

function* checkTrain({ train }: Config): Generator<Finding> {
  const { batch_size: batch, micro_batch_size: micro, num_generations: group } = train;
  yield* checkNamedOnce('train.report_to', 'tracker', train.report_to);
  if (batch % group !== 0) {
    yield {
      keys: ['train.batch_size', 'train.num_generations'],
      message: `batch_size ${batch} is not a multiple of num_generations ${group}`,
      cure: `write batch_size: ${Math.max(1, Math.round(batch / group)) * group}, or another num_generations`,
    };
  }
  if (micro !== undefined && batch % micro !== 0) {
    yield {
      keys: ['train.micro_batch_size', 'train.batch_size'],
      message: `micro_batch_size ${micro} does not divide batch_size ${batch}`,
      cure: `write micro_batch_size: ${largestDivisor(batch, micro)}, or another batch_size`,
    };
  }
}

/** The processes of the trainer, as far as the config alone tells; the trainer itself knows its GPUs. */
function* checkRanks(config: Config): Generator<Finding> {
  const { devices, processes, sharding, lora, batch_size: batch, micro_batch_size: micro } = config.train;
  const known = ranksOf(config);
  const ranks = known === 'gpus' ? undefined : known;
  const ofSlurm = config.launch.kind === 'slurm' ? ['launch.slurm.nodes', 'launch.slurm.gpus_per_node'] : [];
  if (devices && processes !== undefined && processes !== devices.length) {
    yield {
      keys: ['train.processes', 'train.devices'],
      message: `${processes} processes for ${devices.length} devices`,
      cure: 'remove processes: there is one for each device',
    };
  }
  const several = devices?.find((value) => value.includes(','));
  if (several !== undefined) {
    yield {
      keys: ['train.devices'],
      message: `"${several}" names several GPUs, and each entry is the one GPU of a process`,
      cure: `write devices: [${several
        .split(',')
        .map((each) => `"${each.trim()}"`)
        .join(', ')}]`,
    };
  }
  if (ranks !== undefined && batch % ranks !== 0) {
    yield {
      keys: ['train.batch_size', 'train.devices', 'train.processes', ...ofSlurm],
      message: `batch_size ${batch} can't be shared by ${ranks} processes`,
      cure: 'change batch_size, or the number of processes',
    };
  } else if (ranks !== undefined && micro !== undefined && (batch / ranks) % micro !== 0) {
    yield {
      keys: ['train.micro_batch_size', 'train.batch_size', 'train.devices', 'train.processes', ...ofSlurm],
      message: `micro_batch_size ${micro} does not divide the ${batch / ranks} reflections of each of ${ranks} processes`,
      cure: `write micro_batch_size: ${largestDivisor(batch / ranks, micro)}, or remove it`,
    };
  }
  if (sharding !== 'none' && ranks === 1) {
    yield {
      keys: ['train.sharding', 'train.devices', 'train.processes', ...ofSlurm],
      message: `sharding ${sharding} splits the model over several processes, and there is one`,
      cure: 'write sharding: none, or give the trainer more GPUs',
    };
  }
  if (sharding !== 'none' && lora) {
    yield {
      keys: ['train.sharding', 'train.lora'],
      message: 'adapters are trained on whole models: a sharded one could not be merged for the engine',
      cure: 'remove one of the two: an 8B model fits one 80 GB GPU with lora',
    };
  }
}

/** The largest divisor of `whole` that is at most `limit`. */
function largestDivisor(whole: number, limit: number): number {
  let divisor = Math.min(limit, whole);
  while (whole % divisor !== 0) divisor -= 1;
  return divisor;
}

function* checkEval({ eval: { model, modes, samples, controls, baselines } }: Config): Generator<Finding> {
  if (model !== undefined) yield* checkModelName('eval.model', model);
  yield* checkNamedOnce('eval.modes', 'mode', modes);
  yield* checkNamedOnce('eval.controls', 'control', controls);
  yield* checkNamedOnce(
    'eval.baselines',
    'baseline',
    baselines.map(({ name }) => name),
  );
  if (samples > 1 && !modes.includes('sampled')) {
    yield {
      keys: ['eval.samples', 'eval.modes'],
      message: `${samples} samples of a query need sampled decoding: greedy tries are all the same`,
      cure: 'add sampled to eval.modes, or remove samples',
    };
  }
  for (const [index, { name, model, openai }] of baselines.entries()) {
    const keys = [`eval.baselines.${index}`] as const;
    if (RESERVED.includes(name)) {
      yield { keys, message: `${name} is the name of a model of the run`, cure: 'choose another name' };
    }
    if ((model === undefined) === (openai === undefined)) {
      const message = `${name} needs either model or openai`;
      yield { keys, message, cure: 'write model: owner/name, or openai: {base_urls: [...], model: ...}' };
    } else if (model !== undefined) yield* checkModelName(`eval.baselines.${index}.model`, model);
    else if (openai?.model === undefined) {
      const cure = 'write openai.model: the name of the model at the endpoint';
      yield { keys, message: `${name} does not say which model of the endpoint it is`, cure };
    }
  }
}

/** What the evaluation itself calls its models. */
const RESERVED = ['base', 'trained'];

function* checkBenchmarks({ benchmarks, model }: Config): Generator<Finding> {
  const { tasks, source, path, max_gen_toks } = benchmarks;
  yield* checkNamedOnce('benchmarks.tasks', 'benchmark', tasks);
  if (source === 'files') yield* checkBenchmarkFiles(benchmarks);
  else if (path !== undefined) {
    const keys = ['benchmarks.path', 'benchmarks.source'] as const;
    const cure = 'write source: files, or remove it';
    yield { keys, message: 'is not used: benchmarks.source is hub', cure, warning: true };
  }
  if (max_gen_toks !== undefined && max_gen_toks >= model.max_model_len) {
    yield {
      keys: ['benchmarks.max_gen_toks', 'model.max_model_len'],
      message: `answers of ${max_gen_toks} tokens leave no room for a question in max_model_len ${model.max_model_len}`,
      cure: 'lower benchmarks.max_gen_toks, or raise model.max_model_len',
    };
  }
}

function* checkBenchmarkFiles({ tasks, path }: Config['benchmarks']): Generator<Finding> {
  if (path === undefined) {
    yield {
      keys: ['benchmarks.source', 'benchmarks.path'],
      message: 'files needs benchmarks.path, which is missing',
      cure: 'write benchmarks.path: the folder',
    };
    return;
  }
  for (const task of tasks) {
    const files = findBenchmarkFiles(path, task);
    if (files.length === 1) continue;
    const found = files.length === 0 ? 'no file' : files.map((file) => basename(file)).join(', ');
    yield {
      keys: ['benchmarks.path', 'benchmarks.tasks'],
      message: `${path} must hold one file for ${task}, named ${task}*.jsonl, and holds ${found}`,
      cure: 'correct the folder, or name in benchmarks.tasks what it holds',
    };
  }
}

function* checkNamedOnce(key: string, what: string, names: readonly string[]): Generator<Finding> {
  if (new Set(names).size !== names.length) {
    yield {
      keys: [key],
      message: `names a ${what} twice: ${names.join(', ')}`,
      cure: `name each ${what} once`,
    };
  }
}
