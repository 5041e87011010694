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

/** Items a second since `startedAt`, not counting what was done `before`, and the seconds that the rest takes at this rate. */
export function measurePace(
  {
    done,
    before,
    total,
    startedAt,
  }: Pick<ProgressUpdate, 'done' | 'total'> & { before: number; startedAt: number },
  now: number,
): { seconds: number; rate: number; eta: number | null } {
  const seconds = (now - startedAt) / 1000;
  const rate = seconds > 0 ? (done - before) / seconds : 0;
  return { seconds, rate, eta: rate > 0 && total !== null ? (total - done) / rate : null };
}

export const silentProgress: Progress = { start() {}, update() {}, note() {}, finish() {} };
