/** RUN/status.json: what the process that works on the run last said, for `rrr status` in another terminal. */
import { readJson, replaceJsonUnsynced } from './files.ts';
import { type StatusFile, statusFile } from './records.ts';

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
