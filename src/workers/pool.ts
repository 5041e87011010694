/**
 * N workers behind one `call`. A call goes to the worker with the least to do. What a lost worker had not answered is
 * asked again elsewhere, and the worker is started again, from a budget that every result refills. When no worker is left, every
 * call fails at once with the end of the last one's log.
 */
import PQueue from 'p-queue';
import type { Logger } from 'pino';
import { BugError, RunError, UserError } from '../errors.ts';
import { CallError, FailedCallError, PoolStoppedError, toRrrError, WorkerLostError } from './errors.ts';
import type { Worker } from './worker.ts';

/**
 * A call that was in this many lost workers is at fault. So that no other call can be the cause of the last loss, the last
 * worker is asked nothing else at the same time.
 */
const MAX_LOSSES = 3;
/** How often a call is asked again whose own error says that it may be. */
const MAX_RETRIES = 3;
/** Items read ahead of the workers. */
const BACKLOG = 64;

export interface PoolOptions {
  count: number;
  /** Calls a worker holds at once. */
  maxInFlight: number;
  /** Restarts of one worker in a row, without a result of it in between. */
  maxRestarts: number;
  callTimeoutS: number;
  stopGraceS: number;
  /** Starts the process of the worker with this number. */
  launch: (index: number) => Worker;
  log: Logger;
  /** Something that people should know, in one line. */
  note?: (line: string) => void;
}

interface Slot {
  index: number;
  worker: Worker | undefined;
  /** Calls it holds, by their weight. */
  load: number;
  restarts: number;
  everReady: boolean;
}

/** Room in a worker. The slot may hold another worker by the time it is given back. */
interface Lease {
  slot: Slot;
  worker: Worker;
  weight: number;
}

interface Waiter {
  weight: number;
  take: (lease: Lease) => void;
  fail: (error: unknown) => void;
}

export class WorkerPool {
  /** Restarts so far, of all workers. */
  restarts = 0;
  readonly #options: PoolOptions;
  readonly #queue: PQueue;
  #slots: Slot[];
  /** Calls that no worker has room for, those that want a worker to themselves first. */
  readonly #waiting: Waiter[] = [];
  /** Why no call can be answered any more. */
  #over: unknown;
  #stopped: Promise<void> | undefined;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#queue = new PQueue({ concurrency: options.count * options.maxInFlight });
    this.#slots = Array.from({ length: options.count }, (_, index) => ({
      index,
      worker: undefined,
      load: 0,
      restarts: 0,
      everReady: false,
    }));
  }

  /** Starts all workers, resolves when the first is ready. Throws what kept them from it, or the signal's reason. */
  async start(signal: AbortSignal): Promise<void> {
    const stop = () => void this.stop();
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    for (const slot of this.#slots) {
      this.#keepAlive(slot).catch((error) => {
        this.#fail(error);
        void this.stop();
      });
    }
    try {
      this.#release(await this.#acquire(1));
    } catch (error) {
      await this.stop();
      throw signal.aborted ? signal.reason : error;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  /** Whether it answers calls: it was not stopped, and has not lost its last worker. */
  get lives(): boolean {
    return this.#over === undefined;
  }

  /**
   * One call to every worker, while no other is made. A worker that is lost meanwhile doesn't count: it is launched again.
   * Rejects with CallError when a worker answers so.
   */
  async callEach(method: string, params: Record<string, unknown>): Promise<void> {
    const timeoutS = this.#options.callTimeoutS;
    const ask = async (worker: Worker | undefined) => {
      try {
        await worker?.ready;
        await worker?.call(method, params, { timeoutS });
      } catch (error) {
        if (!(error instanceof WorkerLostError)) throw error;
      }
    };
    await Promise.all(this.#slots.map(({ worker }) => ask(worker)));
  }

  /** One call, to whichever worker has room. Throws an RrrError. */
  async call(method: string, params: Record<string, unknown>): Promise<unknown> {
    const { maxInFlight, callTimeoutS, log } = this.#options;
    for (let losses = 0, retries = 0; ; ) {
      const weight = losses < MAX_LOSSES - 1 ? 1 : maxInFlight;
      const lease = await this.#acquire(weight);
      try {
        if (!lease.worker.accepting) continue;
        const value = await lease.worker.call(method, params, { timeoutS: callTimeoutS });
        lease.slot.restarts = 0;
        return value;
      } catch (error) {
        if (error instanceof CallError && error.info.retryable) {
          if (++retries <= MAX_RETRIES) {
            log.warn({ method, retries, error: error.info }, 'call failed, asked again');
            continue;
          }
          const { message, cure } = error.info;
          throw new FailedCallError(`the same ${method} call failed ${retries} times, at last: ${message}`, {
            cure,
            cause: error,
          });
        }
        if (!(error instanceof WorkerLostError)) throw toRrrError(error);
        if (this.#over !== undefined) throw this.#over;
        if (error.suspect) losses++;
        if (losses < MAX_LOSSES) continue;
        throw new FailedCallError(
          `the same ${method} call ended ${losses} workers, at last ${error.message}`,
          { details: error.details, cure: error.cure, cause: error },
        );
      } finally {
        this.#release(lease);
      }
    }
  }

  /**
   * Runs `handle` for every item, at most as many at once as the workers hold, and reads `items` little further ahead.
   * The first error of `handle`, or the abort of `signal`, stops the pool: what runs may finish within the grace. Then
   * that error, or the signal's reason, is thrown.
   */
  async forEach<T>(
    items: AsyncIterable<T> | Iterable<T>,
    handle: (item: T) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const failures: unknown[] = [];
    const fail = (error: unknown) => {
      failures.push(error);
      void this.stop();
    };
    const abort = () => fail(signal.reason);
    signal.addEventListener('abort', abort);
    if (signal.aborted) abort();
    try {
      for await (const item of items) {
        if (failures.length > 0) break;
        this.#queue.add(() => handle(item)).catch(fail);
        await this.#queue.onSizeLessThan(BACKLOG);
      }
    } catch (error) {
      fail(error);
    }
    await this.#queue.onIdle();
    signal.removeEventListener('abort', abort);
    if (failures.length > 0) throw failures[0];
  }

  /** Takes no more calls, lets the running ones finish within the grace, and ends all workers. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#fail(new PoolStoppedError('the workers were stopped'));
    await Promise.all(this.#slots.map(({ worker }) => worker?.stop(this.#options.stopGraceS)));
  }

  /** Starts the slot's worker, and starts it again whenever it is lost. */
  async #keepAlive(slot: Slot): Promise<void> {
    while (this.#over === undefined) {
      const worker = this.#options.launch(slot.index);
      slot.worker = worker;
      worker.ready.then(
        () => {
          slot.everReady = true;
          this.#serveWaiting();
        },
        () => {},
      );
      const lost = await worker.ended;
      if (this.#over !== undefined) return;
      slot.worker = undefined;
      if (!this.#mayRestart(slot, lost)) return this.#retire(slot, lost);
      slot.restarts++;
      this.restarts++;
      this.#tell(`${lost.message}; starting it again (${slot.restarts} of ${this.#options.maxRestarts})`);
    }
  }

  #mayRestart(slot: Slot, { info }: WorkerLostError): boolean {
    // What ends the run would end it again, and a worker that says why it can't start will say it again.
    if (info && (info.type !== 'worker' || !slot.everReady)) return false;
    return slot.restarts < this.#options.maxRestarts;
  }

  /** The pool goes on with the other workers, if there are any. */
  #retire(slot: Slot, lost: WorkerLostError): void {
    this.#slots = this.#slots.filter((other) => other !== slot);
    const error = toRrrError(lost);
    if (error instanceof UserError || error instanceof BugError) {
      this.#fail(error);
      void this.stop();
    } else if (this.#slots.length === 0) {
      this.#fail(error === lost ? noWorkerLeft(lost) : error);
    } else {
      this.#tell(`${lost.message}; going on with ${this.#slots.length} of ${this.#options.count} workers`);
    }
  }

  #fail(error: unknown): void {
    this.#over ??= error;
    for (const { fail } of this.#waiting.splice(0)) fail(this.#over);
  }

  #tell(line: string): void {
    this.#options.log.warn(line);
    this.#options.note?.(line);
  }

  /** Room of this weight in the worker with the least to do, once there is some. */
  async #acquire(weight: number): Promise<Lease> {
    if (this.#over !== undefined) throw this.#over;
    const lease = this.#waiting.length === 0 ? this.#pick(weight) : undefined;
    if (lease) return lease;
    return new Promise((take, fail) => {
      if (weight > 1) this.#waiting.unshift({ weight, take, fail });
      else this.#waiting.push({ weight, take, fail });
      this.#serveWaiting();
    });
  }

  #release({ slot, weight }: Lease): void {
    slot.load -= weight;
    if (this.#waiting.length > 0) this.#serveWaiting();
  }

  /** In order: a call that wants an idle worker holds back the others until there is one. */
  #serveWaiting(): void {
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      const lease = this.#pick(next.weight);
      if (!lease) return;
      this.#waiting.shift();
      next.take(lease);
    }
  }

  #pick(weight: number): Lease | undefined {
    let best: Slot | undefined;
    for (const slot of this.#slots) {
      if (slot.worker?.accepting && slot.load < (best?.load ?? Infinity)) best = slot;
    }
    if (!best?.worker || best.load + weight > this.#options.maxInFlight) return undefined;
    best.load += weight;
    return { slot: best, worker: best.worker, weight };
  }
}

function noWorkerLeft({ message, details, cure }: WorkerLostError): RunError {
  return new RunError(`no worker is left; ${message}`, {
    details,
    cure: `${cure}; then go on with --resume`,
  });
}
