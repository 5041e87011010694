/** The config that a command was given, or all that is wrong with it. */
import { loadConfig } from '../config/load.ts';
import { renderProblems } from '../config/render.ts';
import type { Config } from '../config/schema.ts';
import { UserError } from '../errors.ts';
import type { Context } from './context.ts';

export interface ConfigOptions {
  config: string;
  set?: string[];
}

/** Warnings go to stderr. Throws UserError with every problem of the config. */
export function requireConfig({ cwd, stderr }: Context, options: ConfigOptions): Config {
  const { config, problems, warnings } = loadConfig({ file: options.config, sets: options.set ?? [], cwd });
  for (const warning of warnings) stderr.write(`warning: ${renderProblems([warning])}\n`);
  if (config) return config;
  const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`;
  throw new UserError(`${count} in the configuration`, {
    details: problems.map((problem) => `\n${renderProblems([problem])}`),
  });
}
