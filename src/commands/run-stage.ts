/** What the commands that have a config share: load and check it, show the plan or do the work, with progress. */
import { basename, extname, join, resolve } from 'node:path';
import { loadConfig } from '../config/load.ts';
import { renderProblems } from '../config/render.ts';
import type { Config } from '../config/schema.ts';
import { UserError } from '../errors.ts';
import type { JobOptions } from '../jobs/job.ts';
import { RecordedProgress } from '../jobs/recorded-progress.ts';
import { runPaths } from '../run/paths.ts';
import type { ConfigOptions, Context, Outcome, RunOptions } from './command.ts';
import { planStage, renderPlan, type Stage } from './plan.ts';
import { ProgressRenderer } from './progress.ts';

export async function runStage(
  stage: Stage,
  context: Context,
  options: RunOptions,
  work: (job: JobOptions) => Promise<Outcome>,
): Promise<Outcome> {
  const config = requireConfig(context, options);
  const name = basename(options.config, extname(options.config));
  const run = resolve(context.cwd, options.run ?? join('runs', name));
  if (options.dryRun) {
    const plan = await planStage(stage, config, run);
    return { text: renderPlan(plan), json: plan };
  }
  const progress = new RecordedProgress(new ProgressRenderer(context.stderr), runPaths(run).status);
  try {
    return await work({ config, run, resume: options.resume ?? false, signal: context.signal, progress });
  } finally {
    progress.finish();
  }
}

/** Throws UserError with every problem of the config. */
export function requireConfig({ cwd, stderr }: Context, options: ConfigOptions): Config {
  const { config, problems, warnings } = loadConfig({ file: options.config, sets: options.set ?? [], cwd });
  for (const warning of warnings) stderr.write(`warning: ${renderProblems([warning])}\n`);
  if (config) return config;
  const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`;
  throw new UserError(`${count} in the configuration`, {
    details: problems.map((problem) => `\n${renderProblems([problem])}`),
  });
}
