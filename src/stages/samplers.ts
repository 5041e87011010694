/** The pool of sampling workers that several stages use. */

import { z } from 'zod';
import type { Config } from '../config/schema.ts';
import { runDate } from '../run/manifest.ts';
import { WorkerPool } from '../workers/pool.ts';
import { Worker } from '../workers/worker.ts';
import type { StageJob, StagePlan } from './stage.ts';

/** Calls that a worker with an engine of its own holds for each that the engine runs: the next must be there at once. */
const HELD_PER_RUNNING = 2;

/** A started pool of sampling workers that hold `model`. Throws the signal's reason when it aborts. */
export async function startSamplers(model: string, job: StageJob): Promise<WorkerPool> {
  const { config, log, progress, signal } = job;
  const { engine, workers } = config;
  const date = runDate(job.paths);
  const told = new Set<string>();
  const onReady = ({ chat_template, task_notes }: Record<string, unknown>) => {
    const notes = z.array(z.string()).catch([]);
    for (const note of [
      ...notes.parse(chat_template).map((said) => `the chat template of ${model}: ${said}`),
      ...notes.parse(task_notes),
    ]) {
      if (!told.has(note)) progress.note(note);
      told.add(note);
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
          config,
          options: { model, index, date },
          readyTimeoutS: workers.ready_timeout_s,
          onReady,
        },
        job,
      ),
    log,
    note: (line) => progress.note(line),
  });
  await pool.start(signal);
  return pool;
}

/** The same, for a plan. */
export function planSamplers({ engine, workers }: Config, model: string): StagePlan['processes'][number] {
  const where = workers.devices ? ` on GPUs ${workers.devices.join(' | ')}` : '';
  return { role: 'sampler', count: workers.count, what: `${engine.name}, ${model}${where}` };
}
