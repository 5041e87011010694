/** RUN/workers.jsonl: what became of each worker process, for `rrr status` and for the versions in the report. */
import type { Logger } from 'pino';
import { Journal } from './journal.ts';
import type { RunPaths } from './paths.ts';
import type { WorkerEvent } from './records.ts';

type WithoutStamp<T> = T extends unknown ? Omit<T, 'time' | 'rrr' | 'worker'> : never;
export type WorkerNews = WithoutStamp<WorkerEvent>;

/** Where workers record what becomes of them. */
export interface WorkerRecorder {
  record(worker: string, news: WorkerNews): void;
}

export class WorkerEvents implements WorkerRecorder {
  readonly #journal: Journal;
  readonly #log: Logger;

  private constructor(journal: Journal, log: Logger) {
    this.#journal = journal;
    this.#log = log;
  }

  /** Only the holder of the run's lock may. */
  static async open({ workerEvents }: RunPaths, log: Logger): Promise<WorkerEvents> {
    return new WorkerEvents(await Journal.open(workerEvents), log);
  }

  record(worker: string, news: WorkerNews): void {
    try {
      this.#journal.append({ time: Date.now(), rrr: process.pid, worker, ...news });
    } catch (error) {
      // A full disk ends the run where results are written, with cause and cure; never here.
      this.#log.error({ err: error, worker, news }, 'worker event not recorded');
    }
  }

  close(): void {
    try {
      this.#journal.close();
    } catch (error) {
      // Not here either: it would hide the error that ended the stage.
      this.#log.error({ err: error }, 'worker events not synced');
    }
  }
}
