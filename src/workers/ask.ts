/** One question to one worker, which ends with its answer. */
import type { Config } from '../config/schema.ts';
import { toRrrError } from './errors.ts';
import type { CallOptions } from './pending-calls.ts';
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
  const spec = { name, module, onProgress, config, options: {}, readyTimeoutS: ready_timeout_s };
  const call = { method, params, timeoutS: call_timeout_s };
  try {
    return await callOnce(spec, call, { signal, finishS: stop_grace_s, stopS: stop_grace_s }, options);
  } catch (error) {
    signal.throwIfAborted();
    throw toRrrError(error);
  }
}

export interface OneCall extends CallOptions {
  method: string;
  params: Record<string, unknown>;
}

export interface OneEnd {
  /** Its abort asks the worker to stop, which may first finish the call, within `finishS` seconds. */
  signal: AbortSignal;
  finishS: number;
  /** Seconds for the end of a worker that has answered. */
  stopS: number;
}

/** Starts a worker for this call alone. Throws what `Worker.ready` and `Worker.call` reject with, as they are. */
export async function callOnce(
  spec: WorkerSpec,
  { method, params, ...call }: OneCall,
  { signal, finishS, stopS }: OneEnd,
  context: WorkerContext,
): Promise<unknown> {
  signal.throwIfAborted();
  const worker = new Worker(spec, context);
  const stop = () => void worker.stop(finishS);
  signal.addEventListener('abort', stop);
  try {
    await worker.ready;
    return await worker.call(method, params, call);
  } finally {
    signal.removeEventListener('abort', stop);
    await worker.stop(stopS);
  }
}
