/** RUN/job: which job was submitted, and what became of its attempts. */
import { existsSync } from 'node:fs';
import { readRecord, replaceJson } from '../run/files.ts';
import { Journal, readRecords } from '../run/journal.ts';
import type { RunPaths } from '../run/paths.ts';
import { type AttemptEvent, attemptEvent, type JobRecord, jobRecord } from '../run/records.ts';

/** Undefined where none was submitted. */
export function readJobRecord({ jobRecord: path }: RunPaths): JobRecord | undefined {
  return existsSync(path) ? readRecord(path, jobRecord) : undefined;
}

export function writeJobRecord({ jobRecord: path }: RunPaths, record: JobRecord): void {
  replaceJson(path, record);
}

export function readAttempts({ jobAttempts }: RunPaths): Promise<AttemptEvent[]> {
  return readRecords(jobAttempts, attemptEvent);
}

export async function appendAttempt({ jobAttempts }: RunPaths, event: AttemptEvent): Promise<void> {
  const journal = await Journal.open(jobAttempts);
  try {
    journal.append(event);
  } finally {
    journal.close();
  }
}

/** Attempts without progress that end a job. */
const IDLE_ATTEMPTS = 2;

/** Whether the last two attempts at this job got no further than those before them; `done`: how far the run is now. */
export function isStuck(events: readonly AttemptEvent[], job: number, done: number): boolean {
  const begun = events.flatMap((event) =>
    event.event === 'started' && event.job === job ? [event.done] : [],
  );
  const earlier = begun.slice(0, 1 - IDLE_ATTEMPTS);
  return earlier.length > 0 && Math.max(done, ...begun) <= Math.max(...earlier);
}
