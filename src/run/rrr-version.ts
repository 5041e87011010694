/** Which rrr this is. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export function rrrVersion(): string {
  return JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')).version;
}

/** The commit of the clone that this runs from, with "-dirty" where files of it have been changed; null where it is no clone. */
export function rrrCommit(): string | null {
  // It may lie in the repository of somebody else.
  if (!existsSync(`${ROOT}.git`)) return null;
  const args = ['-C', ROOT, 'describe', '--always', '--exclude=*', '--abbrev=40', '--dirty'];
  try {
    return execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return null;
  }
}
