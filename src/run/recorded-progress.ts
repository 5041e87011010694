/** Progress that is also written to RUN/status.json, at most once a second. */

import { Pace, type Progress, type ProgressUpdate } from './progress.ts';
import type { StatusFile } from './records.ts';
import { writeStatusFile } from './status-file.ts';

const WRITE_EVERY_MS = 1000;

export class RecordedProgress implements Progress {
  readonly #inner: Progress;
  readonly #path: string;
  #status: StatusFile | undefined;
  #pace = new Pace(0);
  #timer: NodeJS.Timeout | undefined;

  constructor(inner: Progress, path: string) {
    this.#inner = inner;
    this.#path = path;
  }

  /** Writes at once, so the first call must come from the holder of the run's lock. */
  start(phase: string, total: number | null, done = 0): void {
    const now = new Date().toISOString();
    const { pid } = process;
    const started = { started: now, updated: now, rate_per_s: null };
    this.#status = { pid, phase, done, total, before: done, counters: {}, ...started };
    this.#pace = new Pace(done);
    this.#write();
    this.#inner.start(phase, total, done);
  }

  update(update: ProgressUpdate): void {
    if (this.#status) {
      const now = Date.now();
      this.#pace.note(update.done, now);
      const news = { updated: new Date(now).toISOString(), rate_per_s: this.#pace.rate(now) };
      Object.assign(this.#status, update, news);
      this.#timer ??= setTimeout(() => this.#write(), WRITE_EVERY_MS).unref();
    }
    this.#inner.update(update);
  }

  note(line: string): void {
    this.#inner.note(line);
  }

  finish(): void {
    // Only what is not written yet: the lock may have been given back.
    if (this.#timer) this.#write();
    this.#status = undefined;
    this.#inner.finish();
  }

  #write(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#status) writeStatusFile(this.#path, this.#status);
  }
}
