/** RUN/status.json: the last words of the process that works on the run, for `rrr status` in another terminal. */
import { z } from 'zod';
import { readJson, replaceJsonUnsynced } from './files.ts';

const count = z.int().nonnegative();

const statusFile = z.object({
  /** The process that wrote it: what another one left behind is old news. */
  pid: z.int(),
  phase: z.string(),
  done: count,
  total: count.nullable(),
  /** What earlier attempts had done: it doesn't count for the rate. */
  before: count,
  counters: z.record(z.string(), z.union([z.number(), z.string()])),
  /** When the phase started, and when `done` was last told. */
  started: z.iso.datetime(),
  updated: z.iso.datetime(),
});
export type StatusFile = z.output<typeof statusFile>;

export function readStatusFile(path: string): StatusFile | undefined {
  const value = readJson(path);
  return value === undefined ? undefined : statusFile.parse(value);
}

export function writeStatusFile(path: string, status: StatusFile): void {
  try {
    replaceJsonUnsynced(path, status);
  } catch {
    // A full disk ends the run where results are written, with cause and cure; never here.
  }
}
