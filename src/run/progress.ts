/** What a stage reports of its progress; src/terminal decides how a person sees it. */

export interface ProgressUpdate {
  done: number;
  total: number | null;
  /** Anything else worth a glance, by name: failures, second_try, restarts ... */
  counters?: Record<string, number | string>;
}

export interface Progress {
  /** A new phase, such as "sampling", starts; `done` is what an earlier run had finished. */
  start(phase: string, total: number | null, done?: number): void;
  update(update: ProgressUpdate): void;
  /** A line worth keeping, such as a worker that was restarted. */
  note(line: string): void;
  /** The phase that was started last is over. */
  finish(): void;
}

const WINDOW_MS = 30_000;
/** Where news are rare, such as steps of minutes, so many of them count, however old. */
const FEWEST = 6;
const APART_MS = 500;

/**
 * The rate of late: of the last half minute, or of the last few news. What passes before the first of them, such as the
 * loading of a model, is no part of it.
 */
export class Pace {
  #marks: { done: number; at: number }[] = [];
  #done: number;

  constructor(before: number) {
    this.#done = before;
  }

  note(done: number, now: number): void {
    if (done === this.#done) return;
    this.#done = done;
    const last = this.#marks.at(-1);
    if (last && done < last.done)
      this.#marks = []; // steps are made again
    else if (now - (this.#marks.at(-2)?.at ?? -Infinity) < APART_MS) this.#marks.pop();
    this.#marks.push({ done, at: now });
    while (this.#marks.length > FEWEST && now - (this.#marks[1]?.at ?? now) > WINDOW_MS) this.#marks.shift();
  }

  /** Items a second; null until there were two news. It falls when the next one is late. */
  rate(now: number): number | null {
    const [first] = this.#marks;
    const last = this.#marks.at(-1);
    if (!first || !last || last.at <= first.at) return null;
    const usual = (last.at - first.at) / (this.#marks.length - 1);
    const elapsed = Math.max(last.at, now - usual) - first.at;
    return (1000 * (last.done - first.done)) / elapsed;
  }
}

/** Seconds that the rest takes. */
export function remaining(
  { done, total }: Pick<ProgressUpdate, 'done' | 'total'>,
  rate: number | null,
): number | null {
  return rate === null || rate <= 0 || total === null ? null : (total - done) / rate;
}

export const silentProgress: Progress = { start() {}, update() {}, note() {}, finish() {} };
