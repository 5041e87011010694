/** The config that `rrr init` writes: a base for each task, and the settings that fit a model on given GPUs. */
import { Document, visit } from 'yaml';

/** Models that the paper trained, and larger ones that it compared them with, by their ids on the hub. */
export const PAPER_MODELS = {
  countdown: [
    'Qwen/Qwen2.5-1.5B-Instruct',
    'Qwen/Qwen2.5-3B-Instruct',
    'Qwen/Qwen2.5-7B-Instruct',
    'meta-llama/Llama-3.1-8B-Instruct',
    'meta-llama/Llama-3.2-3B-Instruct',
  ],
  function_calling: [
    'Qwen/Qwen2-1.5B-Instruct',
    'Qwen/Qwen2-7B-Instruct',
    'meta-llama/Llama-3.1-8B-Instruct',
    'microsoft/Phi-3.5-mini-instruct',
  ],
} as const;

export type PaperTask = keyof typeof PAPER_MODELS;

interface Base {
  data: Record<string, unknown>;
  sampling: Record<string, unknown>;
  /** Larger models that an endpoint serves, untrained. */
  baselines: readonly string[];
}

/** Rows and splits as the paper has them. */
const BASES: Record<PaperTask, Base> = {
  countdown: {
    data: {
      source: 'hub',
      dataset: 'Jiayi-Pan/Countdown-Tasks-3to4',
      test_fraction: 0.05,
      train_rows: 15000,
      test_rows: 15000,
    },
    sampling: { max_answer_tokens: 1024, max_reflection_tokens: 512 },
    baselines: ['Qwen/Qwen2.5-72B-Instruct', 'meta-llama/Llama-3.1-70B-Instruct'],
  },
  function_calling: {
    data: {
      source: 'hub',
      dataset: 'Salesforce/xlam-function-calling-60k',
      test_fraction: 0.2,
      train_rows: 48000,
      test_rows: 12000,
      on_bad_row: 'skip',
    },
    sampling: { max_answer_tokens: 512, max_reflection_tokens: 512 },
    baselines: ['Qwen/Qwen2-72B-Instruct', 'meta-llama/Llama-3.1-70B-Instruct'],
  },
};

const OTHER: Omit<Base, 'data'> = {
  sampling: { max_answer_tokens: 512, max_reflection_tokens: 512 },
  baselines: [],
};

/** The paper's, and ten times as much for adapters: a rule of thumb. */
const LEARNING_RATE = { weights: 5e-7, adapters: 5e-6 };

/** What the model is trained and sampled with (protocol/planning.ts). */
export interface Settings {
  dtype: string;
  gpus: number;
  nodes: number;
  sharding: string;
  lora: { rank: number; targets: string[]; base_dtype: string } | null;
  gradient_checkpointing: boolean;
  gpu_memory_utilization: number;
  engine_sleep: boolean;
  micro_batch_size: number;
  tensor_parallel: number;
  reasons: Record<string, string>;
}

export interface PresetRequest {
  /** As the config writes them. */
  model: string;
  task: string;
  /** A JSONL file, in place of the task's data on the hub. */
  data?: string | undefined;
  /** None: those that any model would do with. */
  settings?: Settings | undefined;
}

export const isPaperTask = (task: string): task is PaperTask => task in BASES;

/** YAML, in which `# ` comments say why. */
export function presetText({ model, task, data, settings }: PresetRequest): string {
  const base = isPaperTask(task) ? BASES[task] : undefined;
  const { sampling, baselines } = base ?? OTHER;
  const sections = {
    seed: 1,
    model: { name: model, dtype: settings?.dtype ?? 'auto', max_model_len: 4096 },
    task: { name: task },
    data: data === undefined ? base?.data : { source: 'jsonl', path: data, test_fraction: 0.2 },
    sampling,
    ...(settings && { engine: { tensor_parallel: settings.tensor_parallel } }),
    ...(settings && { workers: workersOf(settings) }),
    failures: { max_draws: 64 },
    train: { steps: 1750, batch_size: 256, num_generations: 8, ...(settings && trainOf(settings)) },
    ...(settings && settings.nodes > 1 && { launch: launchOf(settings) }),
  };
  const document = new Document(sections);
  visit(document, {
    Seq: (_, list) => {
      list.flow = true;
    },
  });
  const yaml = document.toString({ lineWidth: 0, flowCollectionPadding: false });
  const adapters = settings?.lora && { learning_rate: 'ten times that of all weights: a rule of thumb' };
  return withReasons(yaml, { ...adapters, ...settings?.reasons }) + baselineLines(baselines);
}

function workersOf({ gpus, nodes, tensor_parallel }: Settings) {
  const count = Math.floor(gpus / tensor_parallel) * nodes;
  if (nodes > 1) return { count };
  const each = Array.from({ length: count }, (_, worker) =>
    Array.from({ length: tensor_parallel }, (_, gpu) => worker * tensor_parallel + gpu).join(','),
  );
  return { count, devices: each };
}

function trainOf(settings: Settings) {
  const { gpus, nodes, sharding, lora, engine_sleep } = settings;
  const devices = Array.from({ length: gpus }, (_, gpu) => `${gpu}`);
  return {
    learning_rate: LEARNING_RATE[lora ? 'adapters' : 'weights'],
    ...(nodes === 1 && { devices }),
    ...(sharding !== 'none' && { sharding }),
    ...(lora && {
      lora: { rank: lora.rank, alpha: 2 * lora.rank, base_dtype: lora.base_dtype, targets: lora.targets },
    }),
    gradient_checkpointing: settings.gradient_checkpointing,
    gpu_memory_utilization: settings.gpu_memory_utilization,
    ...(engine_sleep && { engine_sleep }),
    micro_batch_size: settings.micro_batch_size,
  };
}

function launchOf({ gpus, nodes }: Settings) {
  return { kind: 'slurm', slurm: { nodes, gpus_per_node: gpus } };
}

/** Each reason stands above the first line that writes its key. */
function withReasons(yaml: string, reasons: Record<string, string>): string {
  const left = new Map(Object.entries(reasons));
  const lines = yaml
    .trimEnd()
    .split('\n')
    .flatMap((line) => {
      const [, indent, key] = /^( +)(\w+):/.exec(line) ?? [];
      const reason = key === undefined ? undefined : left.get(key);
      if (reason === undefined) return [line];
      left.delete(key as string);
      return [`${indent}# ${reason}`, line];
    });
  return `${lines.join('\n')}\n`;
}

function baselineLines(models: readonly string[]): string {
  if (models.length === 0) return '';
  const lines = models.map((model) => {
    const name = model
      .split('/')
      .at(-1)
      ?.replace(/-Instruct$/, '');
    return `#     - {name: ${name}, openai: {base_urls: ["http://host:8000/v1"], model: ${model}}}`;
  });
  return `# Untrained, to compare with, where an endpoint serves them:\n# eval:\n#   baselines:\n${lines.join('\n')}\n`;
}
