/**
 * The sampling workers of one command, which its stages share. A pool is used again where its engines can hold the model
 * that is asked for; else it is stopped and another one started. So a model is loaded once for two stages, and an engine
 * starts once for two models of the same form.
 */
import { isDeepStrictEqual } from 'node:util';
import type { WorkerNews, WorkerRecorder } from '../run/worker-events.ts';
import { CallError, toRrrError } from '../workers/errors.ts';
import type { WorkerPool } from '../workers/pool.ts';
import { type SamplerWish, startSamplers } from './samplers.ts';
import type { Samplers, StageJob } from './stage.ts';

interface Held {
  pool: WorkerPool;
  wish: SamplerWish;
  /** Until the first worker has said that it computes elsewhere. */
  onGpus: boolean;
}

export class SamplerPools implements Samplers {
  #held: Held | undefined;
  /** The stage that works now: its progress and its records are those of the workers. */
  #job: StageJob | undefined;
  /** What became of workers between two stages. */
  readonly #unrecorded: [worker: string, news: WorkerNews][] = [];

  /** From here on, workers report to this stage. */
  enter(job: StageJob): void {
    this.#job = job;
    for (const news of this.#unrecorded.splice(0)) job.recorder?.record(...news);
  }

  /** The stage is over. `keep`: another one follows. */
  async leave(keep: boolean): Promise<void> {
    if (!keep) await this.stop();
    this.#job = undefined;
  }

  async take(model: string, job: StageJob): Promise<WorkerPool> {
    if (await this.#canHold(model, job)) return (this.#held as Held).pool;
    await this.stop();
    const held: Omit<Held, 'pool'> = { wish: { model, config: job.config }, onGpus: true };
    const onReady = ({ engine, device }: Record<string, unknown>) => {
      held.onGpus = engine !== 'openai' && device !== 'cpu';
    };
    const note = (line: string) => this.#job?.progress.note(line);
    const pool = await startSamplers(held.wish, { ...job, recorder: this.#recorder, note, onReady });
    this.#held = Object.assign(held, { pool });
    return pool;
  }

  /** Stops the pool that may compute on one of these GPUs. */
  async makeRoom(gpus: readonly string[] | 'all'): Promise<void> {
    if (!this.#held) return;
    const { launch, workers } = this.#held.wish.config;
    // A step of Slurm holds CPUs and memory of its node as well, and the next step would wait for them.
    if (launch.kind === 'slurm') await this.stop();
    else if (this.#held.onGpus && (gpus === 'all' || !areApart(workers.devices, gpus))) await this.stop();
  }

  async stop(): Promise<void> {
    const held = this.#held;
    this.#held = undefined;
    await held?.pool.stop();
  }

  /** Whether the pool that is there holds the model, or could be told to. */
  async #canHold(model: string, { config, signal, log }: StageJob): Promise<boolean> {
    const held = this.#held;
    if (!held?.pool.lives || !isDeepStrictEqual(held.wish.config, config)) return false;
    const { pool, wish } = held;
    if (wish.model === model) return true;
    wish.model = model; // also of workers that are started again meanwhile
    const stop = () => void pool.stop();
    signal.addEventListener('abort', stop);
    try {
      await pool.callEach('load_model', { model });
    } catch (error) {
      if (!(error instanceof CallError) || error.info.type !== 'call') throw toRrrError(error);
      log.info({ model, why: error.message }, 'another engine is started');
      return false;
    } finally {
      signal.removeEventListener('abort', stop);
    }
    return pool.lives;
  }

  readonly #recorder: WorkerRecorder = {
    record: (worker, news) => {
      if (this.#job) this.#job.recorder?.record(worker, news);
      else this.#unrecorded.push([worker, news]);
    },
  };
}

/** Whether no GPU is in both. Only plain numbers can be compared: a GPU may also be named by its UUID. */
function areApart(workers: readonly string[] | undefined, others: readonly string[]): boolean {
  const split = (values: readonly string[]) =>
    values.flatMap((value) => value.split(',').map((gpu) => gpu.trim()));
  if (workers === undefined) return false;
  const [ours, theirs] = [split(workers), split(others)];
  return [...ours, ...theirs].every((gpu) => /^\d+$/.test(gpu)) && !ours.some((gpu) => theirs.includes(gpu));
}
