/** Which keys of the config decide which stages. A new key must be put in one of the lists. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type JsonSchema, resolvedConfigJsonSchema } from '../../src/config/expected.ts';
import type { Config } from '../../src/config/schema.ts';
import { requireFinished } from '../../src/run/attempt.ts';
import { STAGES } from '../../src/stages/table.ts';
import { makeConfig, temporaryFolder } from '../workers/harness.ts';
import { finishStage } from './finish-stage.ts';

const KEYS: [keys: string, ...stages: string[]][] = [
  [
    `seed model.name model.revision model.dtype model.max_model_len
    task.name task.options task.verifier.command task.verifier.timeout_s
    task.prompts.system task.prompts.question task.prompts.reflection task.prompts.retry
    data.source data.path data.dataset data.subset data.revision data.hub_split data.rows data.columns
    data.test_fraction data.train_fraction data.train_rows data.test_rows
    sampling.temperature sampling.top_p sampling.max_answer_tokens sampling.max_reflection_tokens
    failures.max_draws failures.failures_per_query failures.keep engine.name engine.openai.tools`,
    'failures',
    'train',
    'eval',
    'benchmarks',
  ],
  [
    `train.steps train.batch_size train.micro_batch_size train.num_generations train.retries_per_reflection
    train.reward train.learning_rate train.lr_scheduler train.warmup_ratio train.beta train.epsilon
    train.loss_type train.scale_rewards train.max_grad_norm train.gradient_checkpointing
    train.max_logprob_difference
    train.lora.rank train.lora.alpha train.lora.dropout train.lora.targets train.lora.base_dtype`,
    'train',
    'eval',
    'benchmarks',
  ],
  ['eval.model', 'eval', 'benchmarks'],
  ['eval.modes eval.retry eval.rounds task.prompts.bare_retry task.prompts.hint', 'eval'],
  [
    `benchmarks.tasks benchmarks.source benchmarks.path benchmarks.items benchmarks.max_gen_toks
    benchmarks.chat_template benchmarks.shots.gsm8k benchmarks.shots.math`,
    'benchmarks',
  ],
  // How fast, where, how safely, how much of it, and what is shown; and what a run adds itself, and keeps.
  [
    `hub_commits python data.on_bad_row task.verifier.processes
    engine.tensor_parallel engine.gpu_memory_utilization engine.cpu_kv_cache_gib engine.enforce_eager
    engine.prefix_caching engine.openai.base_urls engine.openai.model engine.openai.api_key_env
    engine.openai.max_retries
    workers.count workers.devices workers.max_in_flight workers.ready_timeout_s workers.call_timeout_s
    workers.stop_grace_s workers.max_restarts
    train.devices train.processes train.sharding train.checkpoint_every train.checkpoint_minutes
    train.keep_checkpoints train.max_restarts train.step_timeout_s train.gpu_memory_utilization
    train.engine_sleep train.report_to
    eval.samples eval.controls eval.baselines eval.examples
    launch.kind launch.slurm.partition launch.slurm.account launch.slurm.qos launch.slurm.constraint launch.slurm.nodes
    launch.slurm.gpus_per_node launch.slurm.gres launch.slurm.cpus_per_node launch.slurm.mem launch.slurm.time
    launch.slurm.signal_ahead_s launch.slurm.requeue launch.slurm.sbatch launch.slurm.srun launch.slurm.setup`,
  ],
];

/** Dotted, without the sections that only hold others. */
function keysOf({ properties = {} }: JsonSchema, prefix = ''): string[] {
  return Object.entries(properties as Record<string, JsonSchema>).flatMap(([key, schema]) =>
    schema.properties ? keysOf(schema, `${prefix}${key}.`) : [`${prefix}${key}`],
  );
}

/** The config with a value at `key` that it never had. */
function withOther(config: Config, key: string): Config {
  const changed = structuredClone(config) as Record<string, unknown>;
  const path = key.split('.');
  const last = path.pop() as string;
  let section = changed;
  for (const part of path) {
    section[part] ??= {};
    section = section[part] as Record<string, unknown>;
  }
  section[last] = Array.isArray(section[last]) ? ['another'] : 'another';
  return changed as Config;
}

test('another value of a key is refused by the stages that it decides, and by no other', async () => {
  const run = join(temporaryFolder(), 'run');
  const config = makeConfig();
  config.task.verifier = { command: ['judge'], timeout_s: 1, processes: 1 };
  for (const stage of STAGES) await finishStage(run, stage, config);
  const refuses = (key: string) =>
    STAGES.filter((stage) => {
      try {
        requireFinished(run, stage, withOther(config, key));
        return false;
      } catch (error) {
        expect(error).toMatchObject({
          message: expect.stringContaining('belongs to another config'),
          details: [expect.stringContaining(`${key}: `)],
        });
        return true;
      }
    }).map(({ name }) => name);
  const expected = KEYS.flatMap(([keys, ...stages]) => keys.split(/\s+/).map((key) => [key, stages]));
  const found = keysOf(resolvedConfigJsonSchema()).map((key) => [key, refuses(key)]);
  expect(Object.fromEntries(found)).toEqual(Object.fromEntries(expected));
});
