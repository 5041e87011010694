/** The pool of sampling workers that several stages use. */

import { z } from 'zod';
import type { Config } from '../config/schema.ts';
import { runDate } from '../run/manifest.ts';
import { WorkerPool } from '../workers/pool.ts';
import { Worker, type WorkerContext } from '../workers/worker.ts';
import type { StageJob, StagePlan } from './stage.ts';

/** Calls that a worker with an engine of its own holds for each that the engine runs: the next must be there at once. */
const HELD_PER_RUNNING = 2;

/** What a pool is made from. A worker that is started again holds the model that is written here by then. */
export interface SamplerWish {
  readonly config: Config;
  model: string;
}

/** What the pool's workers need, for as long as they live. */
export interface SamplerContext extends WorkerContext, Pick<StageJob, 'paths' | 'signal'> {
  note(line: string): void;
  /** What a worker says of itself when it is ready. */
  onReady(info: Record<string, unknown>): void;
}

/** A started pool of sampling workers. Throws the signal's reason when it aborts. */
export async function startSamplers(wish: SamplerWish, context: SamplerContext): Promise<WorkerPool> {
  const { config } = wish;
  const { log, note, signal } = context;
  const { engine, workers } = config;
  const date = runDate(context.paths);
  const told = new Set<string>();
  const onReady = (info: Record<string, unknown>) => {
    context.onReady(info);
    const { chat_template, task_notes } = info;
    const notes = z.array(z.string()).catch([]);
    for (const line of [
      ...notes.parse(chat_template).map((said) => `the chat template of ${wish.model}: ${said}`),
      ...notes.parse(task_notes),
    ]) {
      if (!told.has(line)) note(line);
      told.add(line);
    }
  };
  const pool = new WorkerPool({
    count: workers.count,
    maxInFlight: workers.max_in_flight * (engine.name === 'vllm' ? HELD_PER_RUNNING : 1),
    maxRestarts: workers.max_restarts,
    callTimeoutS: workers.call_timeout_s,
    stopGraceS: workers.stop_grace_s,
    launch: (index) =>
      new Worker(
        {
          name: `sampler-${index}`,
          module: 'rrr_workers.roles.sampler',
          devices: workers.devices?.[index % workers.devices.length],
          share: { index, count: workers.count, gpus: engine.name === 'vllm' ? engine.tensor_parallel : 0 },
          config,
          options: { model: wish.model, index, date },
          readyTimeoutS: workers.ready_timeout_s,
          onReady,
        },
        context,
      ),
    log,
    note,
  });
  await pool.start(signal);
  return pool;
}

/** The same, for a plan. */
export function planSamplers(config: Config, model: string): StagePlan['processes'][number] {
  const { count } = config.workers;
  return { role: 'sampler', count, what: `${config.engine.name}, ${model}${describePlace(config, count)}` };
}

/** Where `count` workers compute, for a plan. */
export function describePlace(config: Config, count: number): string {
  const { devices } = config.workers;
  const { engine } = config;
  const { kind, slurm } = config.launch;
  if (kind === 'local') return devices ? ` on GPUs ${devices.join(' | ')}` : '';
  const nodes = Math.min(slurm.nodes, count);
  const gpus = slurm.gpus_per_node > 0 && engine.name === 'vllm' ? engine.tensor_parallel : 0;
  const asked = gpus > 0 ? ` with ${gpus} GPU${gpus === 1 ? '' : 's'}` : '';
  return `, each a step of the Slurm job${asked}, on ${nodes} node${nodes === 1 ? '' : 's'}`;
}
