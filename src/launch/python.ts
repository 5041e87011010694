/** Which Python runs the workers. */
import { accessSync, constants } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Config } from '../config/schema.ts';
import { UserError } from '../errors.ts';

const MADE_BY_SETUP = fileURLToPath(new URL('../../.venv/bin/python', import.meta.url));

export function findPython(config: Pick<Config, 'python'>, env: NodeJS.ProcessEnv = process.env): string {
  const [path, named] = config.python
    ? [config.python, 'named by python in the config']
    : env.RRR_PYTHON
      ? [env.RRR_PYTHON, 'named by the environment variable RRR_PYTHON']
      : [MADE_BY_SETUP, 'which scripts/setup.sh makes'];
  try {
    accessSync(path, constants.X_OK);
  } catch {
    throw new UserError(`no Python to run the workers: ${path}, ${named}, is missing or no program`, {
      cure: 'scripts/setup.sh',
    });
  }
  return path;
}
