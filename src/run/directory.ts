/** The run directory itself, or another one that is written to: made, or refused at once with the reason. */
import { lstatSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { getSystemErrorMap } from 'node:util';
import { UserError } from '../errors.ts';

const CURE = 'name another run directory (--run)';

/**
 * Makes `run`, an absolute path, with the folders above it. Throws UserError where that can't be. Not by mkdir's own
 * `recursive`, which never returns where a file system refuses a new folder with ENOENT, as /proc does.
 */
export function makeDirectory(run: string, cure = CURE): void {
  const missing: string[] = [];
  let path = run;
  for (; !isThere(path); path = dirname(path)) missing.unshift(path);
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw new UserError(`${path} is a link to nothing`, { cure });
  if (!found.isDirectory()) throw new UserError(`${path} is a file, no directory`, { cure });
  for (const folder of missing) make(folder, cure);
}

/** A link to nothing is there too; what a file would have to hold is not. */
function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return false;
    throw error;
  }
}

function make(folder: string, cure: string): void {
  try {
    mkdirSync(folder);
  } catch (error) {
    const { code, errno } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return; // another process made it meanwhile
    const why = getSystemErrorMap().get(errno ?? 0)?.[1] ?? code;
    throw new UserError(`${folder} can't be made: ${why}`, { cure, cause: error });
  }
}
