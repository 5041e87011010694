/** What every job takes, and the pool of samplers that two of them use. */
import type { Logger } from 'pino';
import type { Config } from '../config/schema.ts';
import type { Launcher } from '../launch/launcher.ts';
import { LocalLauncher } from '../launch/local.ts';
import { findPython } from '../launch/python.ts';
import type { RunPaths } from '../run/paths.ts';
import { WorkerPool } from '../workers/pool.ts';
import { Worker } from '../workers/worker.ts';
import type { Progress } from './progress.ts';

/** Calls that a worker with an engine of its own holds for each that the engine runs: the next must be there at once. */
const HELD_PER_RUNNING = 2;

export interface JobOptions {
  config: Config;
  /** The run directory, absolute. */
  run: string;
  resume: boolean;
  /** Its abort asks for an end in good order; the job then throws its reason. */
  signal: AbortSignal;
  progress: Progress;
  /** Where processes start. Default: this machine. */
  launcher?: Launcher;
}

export interface SamplerOptions extends Pick<JobOptions, 'config' | 'signal' | 'progress'> {
  launcher: Launcher;
  log: Logger;
}

export function localLauncher(config: Config, { logs }: RunPaths): Launcher {
  return new LocalLauncher({ python: findPython(config), logs });
}

/** A started pool of samplers that hold `model`. Throws the signal's reason when it aborts. */
export async function startSamplers(model: string, options: SamplerOptions): Promise<WorkerPool> {
  const { config, launcher, log, progress, signal } = options;
  const { workers } = config;
  const pool = new WorkerPool({
    count: workers.count,
    maxInFlight: workers.max_in_flight * (workers.engine === 'vllm' ? HELD_PER_RUNNING : 1),
    maxRestarts: workers.max_restarts,
    callTimeoutS: workers.call_timeout_s,
    stopGraceS: workers.stop_grace_s,
    launch: (index) =>
      new Worker(
        {
          name: `sampler-${index}`,
          module: 'rrr_workers.sampler',
          devices: workers.devices?.[index % workers.devices.length],
          config,
          options: { model, index },
          readyTimeoutS: workers.ready_timeout_s,
        },
        launcher,
        log,
      ),
    log,
    note: (line) => progress.note(line),
  });
  await pool.start(signal);
  return pool;
}
