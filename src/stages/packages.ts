/** Whether the Python at hand can do a stage: refused before anything starts, or an hour of other stages is spent. */
import type { Config } from '../config/schema.ts';
import { UserError } from '../errors.ts';
import { findPython, missingPackages } from '../launch/python.ts';
import { readManifest } from '../run/manifest.ts';
import { runPaths } from '../run/paths.ts';
import type { Stage } from './stage.ts';

/** Throws UserError where a stage of these that isn't finished in `run` needs a Python package that isn't installed. */
export function requirePackages(stages: readonly Stage[], config: Config, run: string): void {
  const finished = readManifest(runPaths(run))?.stages ?? {};
  const left = stages.filter(({ name }) => finished[name]?.status !== 'finished');
  const needed = [...new Set(left.flatMap((stage) => stage.packages?.(config) ?? []))];
  const lacking = (missing: readonly string[]) =>
    left.filter((stage) => stage.packages?.(config).some((name) => missing.includes(name)));
  requireIn(needed, config, (missing) =>
    lacking(missing)
      .map(({ command }) => `rrr ${command}`)
      .join(', '),
  );
}

/** Throws UserError where one of the packages is not installed; `who` needs those that are missing. */
export function requireIn(
  packages: readonly string[],
  config: Config,
  who: (missing: readonly string[]) => string,
): void {
  if (packages.length === 0) return;
  const python = findPython(config);
  const missing = missingPackages(python, packages);
  if (missing.length === 0) return;
  throw new UserError(`${who(missing)}: this Python has no ${missing.join(', ')}: ${python}`, {
    cure: 'rrr setup --stack cpu, or --stack cuda on a machine with NVIDIA GPUs (in a clone RRR_STACK=cpu scripts/setup.sh)',
  });
}
