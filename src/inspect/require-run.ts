/** The run directory that a reader was given. */
import { existsSync } from 'node:fs';
import { UserError } from '../errors.ts';
import { type RunPaths, runPaths } from '../run/paths.ts';

/** The paths of a run directory. Throws UserError when it is none. */
export function requireRun(run: string): RunPaths {
  const paths = runPaths(run);
  // The lock, the log and the job are there before the manifest.
  if (![paths.manifest, paths.lock, paths.log, paths.jobRecord].some((path) => existsSync(path))) {
    throw new UserError(`${run} is no run directory: it holds no run.json`, {
      cure: 'name the directory that was given as --run; without --run it is runs/<name of the config>',
    });
  }
  return paths;
}
