/**
 * Every key that a config file may hold, with its default and its meaning. `npm run schema` writes two JSON Schemas from
 * this file: configs/schema.json, which editors check config files with, and workers/config.schema.json, from which the
 * Python side generates its model of the resolved config.
 * Defaults are the paper's where it says (arXiv 2505.24726, section 4); the rest is marked "not in the paper".
 */
import { z } from 'zod';

const positiveInt = z.int().positive();
const fraction = z.number().min(0).max(1);
const seconds = z.number().positive();

const model = z.strictObject({
  name: z
    .string()
    .min(1)
    .describe('Hub id, or a folder when it starts with ./ ../ / or ~ (relative to the config file).'),
  revision: z.string().optional().describe('Hub revision: branch, tag or commit.'),
  dtype: z
    .enum(['auto', 'float32', 'bfloat16', 'float16'])
    .default('auto')
    .describe('In what is computed. auto: as the checkpoint says.'),
  max_model_len: positiveInt
    .default(4096)
    .describe('Context window in tokens: prompt and completion together.'),
});

const task = z.strictObject({
  name: z
    .string()
    .min(1)
    .default('countdown')
    .describe(
      'countdown, function_calling, custom (any rows, prompts from here), path/to/file.py:Class or package.module:Class.',
    ),
  options: z.record(z.string(), z.json()).prefault({}).describe('Options of the task itself.'),
  prompts: z
    .strictObject({
      system: z.string().optional().describe('The system message. Default: none.'),
      question: z.string().optional().describe('Of the first try.'),
      reflection: z.string().optional().describe('Asks for the reflection, after the failed answer.'),
      retry: z.string().optional().describe('Asks for the second try, after the reflection.'),
      bare_retry: z
        .string()
        .optional()
        .describe('Of the control bare_retry: asks again, with no reflection.'),
      hint: z.string().optional().describe('Of the control hint: stands in the place of a reflection.'),
    })
    .prefault({})
    .describe("Templates that replace the task's own; {placeholders} are the query's fields."),
  verifier: z
    .strictObject({
      command: z
        .array(z.string().min(1))
        .min(1)
        .describe('Program and arguments; those that start with ./ or ../ are relative to the config file.'),
      timeout_s: seconds.default(10).describe('A verdict that takes longer is a broken verifier.'),
      processes: positiveInt.default(1).describe('Processes of it that judge at once.'),
    })
    .optional()
    .describe("A program that judges in place of the task's own verifier, over JSON lines."),
});

const data = z.strictObject({
  source: z
    .enum(['hub', 'jsonl', 'parquet', 'generator'])
    .describe("Where rows come from. generator: the task's own, of Countdown and function calling."),
  path: z.string().optional().describe('jsonl, parquet: the file, relative to the config file.'),
  dataset: z.string().optional().describe('hub: the data set, such as Jiayi-Pan/Countdown-Tasks-3to4.'),
  subset: z.string().optional().describe('hub: the configuration of the data set.'),
  revision: z.string().optional().describe('hub: branch, tag or commit.'),
  hub_split: z.string().default('train').describe('hub: the split to read; rrr makes its own test split.'),
  rows: positiveInt
    .optional()
    .describe('Rows to read or to generate, before the split. Default: all; generator: required.'),
  columns: z
    .record(z.string(), z.string())
    .prefault({})
    .describe('Renames: field of the task -> column of the data.'),
  on_bad_row: z
    .enum(['fail', 'skip'])
    .default('fail')
    .describe('A row that the task refuses stops the run, or is left out and counted.'),
  test_fraction: fraction.default(0.1).describe('Share of the split keys held out for `rrr eval`.'),
  train_fraction: fraction
    .optional()
    .describe('Share used for failures and training. Default: all that is not test.'),
  train_rows: positiveInt.optional().describe('Use at most this many training queries.'),
  test_rows: positiveInt.optional().describe('Use at most this many test queries.'),
});

const sampling = z.strictObject({
  temperature: z.number().min(0).default(1).describe('1 for training: other values bias it.'),
  top_p: z.number().gt(0).max(1).default(1).describe('1 for training, likewise.'),
  max_answer_tokens: positiveInt.default(1024).describe('Limit of the first try and of the retry.'),
  max_reflection_tokens: positiveInt.default(512).describe('Limit of a reflection.'),
});

const endpoint = z.strictObject({
  base_urls: z
    .array(z.url())
    .min(1)
    .describe('Such as http://host:8000/v1; sampling workers take them in turn.'),
  model: z.string().optional().describe('Name of the model at the endpoint. Default: model.name.'),
  api_key_env: z.string().default('OPENAI_API_KEY').describe('The environment variable that holds the key.'),
  max_retries: z.int().nonnegative().default(5).describe('Retries of HTTP 429 and 5xx.'),
  tools: z
    .enum(['text', 'native'])
    .default('text')
    .describe(
      "How function calling offers the tools: written into the question, or in the request's own field, whose calls the endpoint parses.",
    ),
});

const engine = z.strictObject({
  name: z.enum(['vllm', 'openai']).default('vllm').describe('openai: any endpoint that speaks its API.'),
  tensor_parallel: positiveInt.default(1).describe('GPUs that one sampling worker splits the model over.'),
  gpu_memory_utilization: z
    .number()
    .gt(0)
    .max(1)
    .default(0.9)
    .describe('Share of the GPU that a sampling worker takes; the trainer has a share of its own.'),
  cpu_kv_cache_gib: z
    .number()
    .positive()
    .default(1)
    .describe('KV cache of an engine on a CPU machine, in GiB.'),
  enforce_eager: z.boolean().default(false).describe('Skip compilation: slower tokens, much faster start.'),
  prefix_caching: z.boolean().default(true).describe('What prompts begin with in common is computed once.'),
  openai: endpoint.optional(),
});

const workers = z.strictObject({
  count: positiveInt.default(1).describe('Sampling workers, each with an engine of its own.'),
  devices: z
    .array(z.string())
    .optional()
    .describe('One CUDA_VISIBLE_DEVICES value for each sampling worker, such as ["0,1", "2,3"].'),
  max_in_flight: positiveInt.default(256).describe('Queries that a sampling worker runs at once.'),
  ready_timeout_s: seconds.default(900).describe('The longest that a process may take to start and load.'),
  call_timeout_s: seconds
    .default(900)
    .describe('A call without progress for this long kills its worker; every completion is progress.'),
  stop_grace_s: seconds.default(10).describe('Time to finish what runs, after Ctrl-C.'),
  max_restarts: z.int().nonnegative().default(3).describe('Restarts in a row without a result in between.'),
});

const failures = z.strictObject({
  max_draws: positiveInt.default(64).describe('Most responses sampled for a query (paper: up to 64).'),
  failures_per_query: positiveInt.default(1).describe('A query stops at this many failures.'),
  keep: z
    .enum(['any', 'all'])
    .default('any')
    .describe('any: a query is kept as soon as one draw fails; all: only when every draw fails.'),
});

const train = z.strictObject({
  devices: z
    .array(z.string())
    .min(1)
    .optional()
    .describe('GPUs of the trainer, one process each, such as ["0", "1"]. Default: all that are seen.'),
  processes: positiveInt
    .optional()
    .describe('Processes that share a batch. Default: one a GPU; 1 on a CPU machine.'),
  sharding: z
    .enum(['none', 'fsdp2'])
    .default('none')
    .describe('fsdp2: weights, gradients, optimizer and reference are split over the GPUs.'),
  lora: z
    .strictObject({
      rank: positiveInt.default(32).describe('Of the adapters.'),
      alpha: positiveInt.default(64).describe('Adapters are scaled by alpha / rank.'),
      dropout: z.number().min(0).lt(1).default(0).describe('Of what goes into an adapter.'),
      targets: z
        .array(z.string().min(1))
        .min(1)
        .default(['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'])
        .describe(
          'Names of the linear modules that get an adapter; ["all-linear"] for every one but the head.',
        ),
      base_dtype: z
        .enum(['float32', 'bfloat16'])
        .default('float32')
        .describe('bfloat16 halves the memory of the weights, which then drift a little at every update.'),
    })
    .optional()
    .describe('Train low-rank adapters in place of all weights; {} for the defaults (not in the paper).'),
  steps: positiveInt.default(1750).describe('Updates of the weights.'),
  batch_size: positiveInt.default(256).describe('Reflections an optimizer step: prompts x num_generations.'),
  micro_batch_size: positiveInt
    .optional()
    .describe(
      'Reflections that a process computes at once. Default: the most that divides its share and fits.',
    ),
  num_generations: z
    .int()
    .min(2)
    .default(8)
    .describe('Reflections a failure, the group of GRPO (not in the paper).'),
  retries_per_reflection: positiveInt.default(1).describe('The reward is the mean over this many retries.'),
  reward: z
    .enum(['verifier', 'shuffled'])
    .default('verifier')
    .describe('shuffled: the control that must not learn.'),
  learning_rate: z
    .number()
    .positive()
    .default(5e-7)
    .describe('The highest; adapters usually want a higher one.'),
  lr_scheduler: z
    .enum(['cosine', 'linear', 'constant', 'constant_with_warmup'])
    .default('cosine')
    .describe('How the learning rate changes over the steps.'),
  warmup_ratio: fraction.default(0.03).describe('Share of the steps in which the learning rate rises.'),
  beta: z.number().min(0).default(0.001).describe('Weight of the KL penalty.'),
  epsilon: z.number().positive().default(0.2).describe('Clip range of the ratio (not in the paper).'),
  loss_type: z.enum(['grpo', 'bnpo', 'dr_grpo', 'dapo']).default('grpo').describe('Not in the paper.'),
  scale_rewards: z.enum(['group', 'batch', 'none']).default('group').describe('Not in the paper.'),
  max_grad_norm: z.number().positive().default(1).describe('Longer gradients are scaled down to this.'),
  gradient_checkpointing: z
    .boolean()
    .default(false)
    .describe('Activations are computed again on the way back: less memory, more time.'),
  checkpoint_every: positiveInt.default(50).describe('Steps between checkpoints.'),
  checkpoint_minutes: z
    .number()
    .positive()
    .optional()
    .describe('A checkpoint also when this many minutes have passed since the last one.'),
  keep_checkpoints: positiveInt.default(2).describe('The last so many are kept.'),
  max_logprob_difference: z
    .number()
    .positive()
    .optional()
    .describe(
      'Mean |log-probability| gap of sampler and trainer above which the run stops. Default: 2e-3 in float32, 0.2 in bfloat16.',
    ),
  max_restarts: z
    .int()
    .nonnegative()
    .default(2)
    .describe('Restarts of a crashed trainer from its last checkpoint.'),
  step_timeout_s: seconds.default(1800).describe('A step that takes longer is taken for a hang.'),
  report_to: z
    .array(z.enum(['tensorboard', 'wandb', 'trackio']))
    .default([])
    .describe('Trackers that are told of every step, each a Python package of its own to install.'),
  gpu_memory_utilization: z
    .number()
    .gt(0)
    .max(1)
    .default(0.3)
    .describe('Share of the GPU for the colocated engine.'),
  engine_sleep: z
    .boolean()
    .default(false)
    .describe('The engine gives its GPU memory back while the trainer computes, for some seconds a step.'),
});

const CONTROLS = [
  'bare_retry',
  'hint',
  'donor',
  'base_reflection',
  'trained_reflection',
  'best_of_two',
  'equal_tokens',
] as const;

const evaluation = z.strictObject({
  model: z
    .string()
    .min(1)
    .optional()
    .describe('Evaluate this model, which needs no training here, such as ./runs/other/train/model.'),
  modes: z
    .array(z.enum(['sampled', 'greedy']))
    .min(1)
    .default(['sampled', 'greedy'])
    .describe('sampled uses the sampling section; greedy is temperature 0.'),
  retry: z
    .enum(['failed', 'all'])
    .default('failed')
    .describe(
      'failed: what the verifier rejects is retried, as in the paper; all: every answer, so that right ones can be lost.',
    ),
  rounds: positiveInt
    .default(1)
    .describe('Rounds of reflection and retry, at most; training has one (not in the paper).'),
  samples: positiveInt
    .default(1)
    .describe('First tries of a query under sampled decoding, each with its retries (not in the paper).'),
  controls: z
    .array(z.enum(CONTROLS))
    .default([])
    .describe(
      "What else follows the base model's failures, for what a reflection must do better than: a bare retry, a fixed hint, another query's reflection, the base model's reflection with the trained model's retry and the reverse, one more sample, as many more as the tokens of reflection and retry pay for.",
    ),
  baselines: z
    .array(
      z.strictObject({
        name: z
          .string()
          .regex(/^[A-Za-z][\w.-]*$/, 'letters, digits, dots, - and _, a letter first')
          .describe('In the report: letters, digits, dots, - and _, a letter first.'),
        model: z.string().min(1).optional().describe('A folder or hub id that vLLM serves.'),
        openai: endpoint.optional().describe('Or an endpoint.'),
      }),
    )
    .default([])
    .describe('Other models, untrained here, that try, reflect and retry beside the two.'),
  examples: z.int().nonnegative().default(10).describe('Reflections before and after that the report shows.'),
});

const benchmarks = z.strictObject({
  tasks: z
    .array(z.enum(['gsm8k', 'math', 'hellaswag', 'mmlu_pro']))
    .min(1)
    .default(['gsm8k', 'math', 'hellaswag', 'mmlu_pro'])
    .describe('What both models are asked. math is MATH-500.'),
  source: z
    .enum(['hub', 'files'])
    .default('hub')
    .describe('files: the rows are in files of the folder path.'),
  path: z
    .string()
    .optional()
    .describe(
      'files: a folder with one JSONL file for each benchmark, whose name begins with it, such as gsm8k-test.jsonl or mmlu-pro.jsonl.',
    ),
  items: positiveInt
    .optional()
    .describe('At most this many items of each benchmark, the same ones in every run. Default: all.'),
  max_gen_toks: positiveInt
    .optional()
    .describe('Most tokens of an answer. Default: half of model.max_model_len, at most 2048.'),
  chat_template: z
    .boolean()
    .default(true)
    .describe("Ask through the model's chat template. hellaswag, which only scores endings, never does."),
  shots: z
    .strictObject({
      gsm8k: z.int().min(0).max(5).default(5),
      math: z.int().min(0).max(4).default(4),
    })
    .prefault({})
    .describe('Worked examples before each question; hellaswag and mmlu_pro have none.'),
});

const slurm = z.strictObject({
  partition: z.string().min(1).optional(),
  account: z.string().min(1).optional(),
  qos: z.string().min(1).optional(),
  constraint: z.string().min(1).optional().describe('Features that every node must have.'),
  nodes: positiveInt.default(1).describe('Nodes of the job.'),
  gpus_per_node: z.int().nonnegative().default(0).describe('GPUs of each node; 0 on CPU nodes.'),
  gres: z
    .string()
    .min(1)
    .optional()
    .describe('What is asked for on each node, such as gpu:h100:8. Default: gpu:<gpus_per_node>.'),
  cpus_per_node: positiveInt.optional().describe('Default: all of each node.'),
  mem: z
    .string()
    .regex(/^\d+[KMGT]?$/, 'a number with K, M, G or T')
    .default('0')
    .describe('Memory of each node, such as 500G; 0: all of it.'),
  time: z
    .string()
    .regex(/^(\d+-)?\d+(:\d{2}){0,2}$/, 'minutes, H:MM:SS or D-H:MM:SS')
    .optional()
    .describe('Time limit, such as 24:00:00. Default: that of the partition.'),
  signal_ahead_s: positiveInt
    .default(120)
    .describe('How long before the time limit the run writes a checkpoint and stops.'),
  requeue: z
    .boolean()
    .default(true)
    .describe('Go on in a new attempt after the time limit, preemption or the loss of a node.'),
  sbatch: z.array(z.string().min(1)).default([]).describe('More options of sbatch, such as --exclusive.'),
  srun: z
    .array(z.string().min(1))
    .default([])
    .describe('More options of every srun, such as --container-image=rrr.sqsh.'),
  setup: z
    .array(z.string().min(1))
    .default([])
    .describe('Lines of shell before the run starts, such as module load cuda.'),
});

const launch = z.strictObject({
  kind: z
    .enum(['local', 'slurm'])
    .default('local')
    .describe('slurm: workers and trainer are steps of the Slurm job that rrr runs in.'),
  slurm: slurm.prefault({}),
});

export const configSchema = z.strictObject({
  seed: z
    .int()
    .nonnegative()
    .max(2 ** 31 - 1)
    .default(0)
    .describe('Of the generator, the split, every draw and the training: the same seed makes the same run.'),
  python: z
    .string()
    .optional()
    .describe('The Python that runs the workers. Default: the one that rrr setup made.'),
  model,
  task: task.prefault({}),
  data,
  sampling: sampling.prefault({}),
  engine: engine.prefault({}),
  workers: workers.prefault({}),
  failures: failures.prefault({}),
  train: train.prefault({}),
  eval: evaluation.prefault({}),
  benchmarks: benchmarks.prefault({}),
  launch: launch.prefault({}),
});

/** A config as written, with the schema's defaults. */
export type WrittenConfig = z.output<typeof configSchema>;

/**
 * The resolved config: every default filled in, every path absolute. It is what run directories hold and what the Python
 * side reads.
 */
export const resolvedConfigSchema = configSchema.extend({
  data: data.extend({ train_fraction: fraction }),
  hub_commits: z
    .record(z.string(), z.string())
    .optional()
    .describe('What the run takes from the hub, by owner/name@revision: `hub` of run.json.'),
});
export type Config = z.output<typeof resolvedConfigSchema>;
