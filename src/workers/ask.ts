/** One question to one Python worker, which ends with its answer. */
import type { Config } from '../config/schema.ts';
import { toRrrError } from './errors.ts';
import { Worker, type WorkerContext, type WorkerSpec } from './worker.ts';

export interface Question extends Pick<WorkerSpec, 'name' | 'module' | 'onProgress'> {
  method: string;
  params: Record<string, unknown>;
}

export interface AskOptions extends WorkerContext {
  config: Config;
  /** Its abort ends the worker; the reason is thrown. */
  signal: AbortSignal;
}

/** The result of the call. Throws an RrrError. */
export async function askWorker(question: Question, options: AskOptions): Promise<unknown> {
  const { config, signal } = options;
  const { name, module, onProgress, method, params } = question;
  const { ready_timeout_s, call_timeout_s, stop_grace_s } = config.workers;
  signal.throwIfAborted();
  const spec = { name, module, onProgress, config, options: {}, readyTimeoutS: ready_timeout_s };
  const worker = new Worker(spec, options);
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
