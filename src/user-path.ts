/** Paths as users write them. */
import { homedir } from 'node:os';
import { resolve } from 'node:path';

/** The absolute path of what was written relative to `folder`; `~` at its start is the home directory. */
export function resolveUserPath(folder: string, written: string): string {
  return resolve(folder, written.replace(/^~(?=\/|$)/, homedir()));
}
