/** Which Python runs the workers. */
import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Config } from '../config/schema.ts';
import { UserError } from '../errors.ts';
import { madePython } from './environment.ts';

const CURE = 'rrr setup';

export function findPython(config: Pick<Config, 'python'>, env: NodeJS.ProcessEnv = process.env): string {
  if (config.python) return usable(config.python, 'named by python in the config');
  if (env.RRR_PYTHON) return usable(env.RRR_PYTHON, 'named by the environment variable RRR_PYTHON');
  const made = madePython(env);
  if (made === undefined)
    throw new UserError('no Python to run the workers: rrr setup has not made one', { cure: CURE });
  return usable(made, 'which rrr setup makes');
}

function usable(path: string, named: string): string {
  try {
    accessSync(path, constants.X_OK);
  } catch {
    throw new UserError(`no Python to run the workers: ${path}, ${named}, is missing or no program`, {
      cure: CURE,
    });
  }
  return path;
}

/**
 * Those of `packages` that `python` has not, told by the files of its virtual environment. Of any other Python nothing is
 * known before a worker tries: none is missing.
 */
export function missingPackages(python: string, packages: readonly string[]): string[] {
  const prefix = dirname(dirname(python));
  const library = join(prefix, 'lib');
  const settings = join(prefix, 'pyvenv.cfg');
  if (!existsSync(library) || !existsSync(settings)) return [];
  if (/^include-system-site-packages *= *true/m.test(readFileSync(settings, 'utf8'))) return [];
  const installed = readdirSync(library)
    .map((version) => join(library, version, 'site-packages'))
    .filter(existsSync)
    .flatMap((folder) => readdirSync(folder));
  const has = (name: string) => installed.some((entry) => entry === name || entry.startsWith(`${name}-`));
  return packages.filter((name) => !has(name));
}
