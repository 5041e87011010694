/** What `rrr plan` and `rrr init` ask a worker: workers/rrr_workers/roles/plan.py, planning. Sizes are in bytes. */
import { z } from 'zod';

const size = z.int().nonnegative();
const number = z.number().nonnegative();

export interface PlanParams {
  /** As --gpus names them, such as 8x80; null: those that nvidia-smi sees, or as many of 80 GiB as the config uses. */
  gpus: string | null;
  nodes: number;
  queries: { train: number | null; test: number | null };
  /** Values of assumptions that something tells, and what. */
  known: Record<string, { value: number; source: string }>;
  /** Of report/arms.ts. */
  arms: readonly object[];
  assume: Record<string, number>;
}

export const resourcesResult = z.object({
  /** `source`: of the shape, from which all sizes follow. */
  model: z.object({ name: z.string(), parameters: size, dtype: z.string(), source: z.string() }),
  /** `gpus` of each of `nodes`. `card`: memory of a GPU; `room`: the part of it that is planned with. */
  hardware: z.object({
    gpus: size,
    nodes: size,
    card: size,
    room: size,
    /** In the table of data sheets; null: not there, and no hours. */
    gpu: z.string().nullable(),
    why: z.string(),
  }),
  /** Of each training process at the fullest moment of a step, by what it holds. */
  training: z.object({
    ranks: size,
    sharding: z.string(),
    lora: size.nullable(),
    micro_batch_size: size,
    moment: z.string(),
    parts: z.record(z.string(), size),
    total: size,
    fits: z.boolean(),
  }),
  /** `share`: what a worker takes of each of its GPUs, of which `least` is needed. `cache_tokens`: of all its GPUs. */
  sampling: z.object({
    workers: size,
    gpus_each: size,
    share: size,
    weights: size,
    least: size,
    cache_tokens: size,
  }),
  /** Memory of each machine while the training processes load. */
  host: size,
  /** `run`: checkpoints and model, which training refuses to start without. `text`: journals. `base_model`: of the hub. */
  disk: z.object({ checkpoints: size, model: size, run: size, text: size, base_model: size }),
  draws_a_query: number,
  kept: size,
  /** Seconds of an optimizer step. */
  step: z.object({ reflect: number, retry: number, train: number, update: number, total: number }).nullable(),
  stages: z.array(
    z.object({
      stage: z.string(),
      completions: size,
      prompt_tokens: size,
      /** Of the prompts' tokens, those that the prefix cache is expected to hold. */
      cached: size,
      completion_tokens: size,
      hours: number.nullable(),
    }),
  ),
  hours: number.nullable(),
  /** Of all GPUs, also while they are idle. */
  gpu_hours: number.nullable(),
  assumptions: z.array(z.object({ name: z.string(), value: z.number(), why: z.string() })),
  /** `fatal`: the run would end with an error. */
  warnings: z.array(z.object({ message: z.string(), cure: z.string(), fatal: z.boolean() })),
});
export type Resources = z.output<typeof resourcesResult>;

const asked = {
  model: z.string(),
  parameters: size,
  source: z.string(),
  gpus: size,
  nodes: size,
  card: size,
  /** As in `hardware`. */
  gpu: z.string().nullable(),
};

const choice = z.discriminatedUnion('possible', [
  z.object({ ...asked, possible: z.literal(false), least: size, reason: z.string() }),
  z.object({
    ...asked,
    possible: z.literal(true),
    dtype: z.string(),
    sharding: z.string(),
    lora: z.object({ rank: size, targets: z.array(z.string()), base_dtype: z.string() }).nullable(),
    gradient_checkpointing: z.boolean(),
    gpu_memory_utilization: z.number(),
    engine_sleep: z.boolean(),
    micro_batch_size: size,
    tensor_parallel: size,
    /** Of a GPU at the fullest moment, and what of it is planned with. */
    needed: size,
    room: size,
    step_s: number.nullable(),
    /** By key of the config. */
    reasons: z.record(z.string(), z.string()),
  }),
]);
export const choicesResult = z.object({ choices: z.array(choice) });
export type Choice = z.output<typeof choice>;
