/** RUN/status.json: what the process that works on the run last said, for `rrr status` in another terminal. */
import { UserError } from '../errors.ts';
import { readRecord, replaceJsonUnsynced } from './files.ts';
import { type StatusFile, statusFile } from './records.ts';

/** Undefined also for one that a power cut has damaged: it is written without a sync. */
export function readStatusFile(path: string): StatusFile | undefined {
  try {
    return readRecord(path, statusFile);
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

export function writeStatusFile(path: string, status: StatusFile): void {
  try {
    replaceJsonUnsynced(path, status);
  } catch {
    // A full disk ends the run where results are written, with cause and cure; never here.
  }
}
