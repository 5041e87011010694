/** One question to one Python worker, which ends with its answer. */
import type { Config } from '../config/schema.ts';
import { toRrrError } from '../workers/errors.ts';
import { Worker, type WorkerSpec } from '../workers/worker.ts';
import type { SamplerOptions } from './job.ts';

export interface Question extends Pick<WorkerSpec, 'name' | 'module' | 'onProgress'> {
  method: string;
  params: Record<string, unknown>;
}

export interface AskOptions extends Pick<SamplerOptions, 'launcher' | 'log' | 'signal'> {
  config: Config;
}

export async function askWorker(question: Question, options: AskOptions): Promise<unknown> {
  const { config, launcher, log, signal } = options;
  const { name, module, onProgress, method, params } = question;
  const { ready_timeout_s, call_timeout_s, stop_grace_s } = config.workers;
  signal.throwIfAborted();
  const spec = { name, module, onProgress, config, options: {}, readyTimeoutS: ready_timeout_s };
  const worker = new Worker(spec, launcher, log);
  const stop = () => void worker.stop(stop_grace_s);
  signal.addEventListener('abort', stop);
  try {
    await worker.ready;
    return await worker.call(method, params, { timeoutS: call_timeout_s });
  } catch (error) {
    signal.throwIfAborted();
    throw toRrrError(error);
  } finally {
    signal.removeEventListener('abort', stop);
    await worker.stop(stop_grace_s);
  }
}
