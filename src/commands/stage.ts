/** `rrr build-failures`, `rrr train`, `rrr eval`, `rrr benchmarks`: a stage of the table, or its plan with --dry-run. */
import { basename, extname, join } from 'node:path';
import { checkRun } from '../inspect/question.ts';
import { runPaths } from '../run/paths.ts';
import { executeStage } from '../stages/execute.ts';
import { type Plan, planStage } from '../stages/plan.ts';
import type { Stage, View } from '../stages/stage.ts';
import { nextLine, showPath } from '../terminal/command-line.ts';
import type { Context, Outcome } from '../terminal/context.ts';
import { ProgressRenderer } from '../terminal/progress.ts';
import { type ConfigOptions, requireConfig } from '../terminal/require-config.ts';
import { alignColumns } from '../text.ts';
import { resolveUserPath } from '../user-path.ts';

export interface StageOptions extends ConfigOptions {
  /** The run directory. Default: runs/<name of the config>. */
  run?: string;
  resume?: boolean;
  dryRun?: boolean;
  /** Of `rrr eval`. */
  power?: boolean;
}

export async function runStage(context: Context, stage: Stage, options: StageOptions): Promise<Outcome> {
  const config = requireConfig(context, options);
  const run = runDirectory(context, options);
  if (options.dryRun) {
    const plan = await planStage(stage, config, run);
    await checkRun({ config, signal: context.signal });
    return { text: renderPlan(plan), json: plan };
  }
  if (options.power) return (await import('./power.ts')).runPower(config, run);
  const { signal } = context;
  const progress = new ProgressRenderer(context.stderr);
  const summary = await executeStage(stage, {
    config,
    run,
    resume: options.resume ?? false,
    options: { ...options },
    signal,
    progress,
  });
  const { show } = await stage.load();
  return show(summary, viewFrom(context, run));
}

/** The run directory, absolute. */
export function runDirectory({ cwd }: Context, { config, run }: StageOptions): string {
  return resolveUserPath(cwd, run ?? join('runs', basename(config, extname(config))));
}

/** How the paths of a run, and command lines about it, look to who called. */
export function viewFrom(context: Context, run: string): View {
  return {
    paths: runPaths(run),
    path: (path) => showPath(path, context.cwd),
    next: (command) => nextLine(context, command),
  };
}

export function renderPlan(plan: Plan): string {
  const about = (count: number | null) =>
    count === null ? 'not known yet' : `${plan.queries.exact ? '' : 'about '}${count}`;
  const rows = [
    ['run', plan.run],
    ...plan.earlier.map((line, index) => [index === 0 ? 'stage' : '', line]),
    ['task', plan.task],
    ['model', plan.model],
    ['data', plan.data],
    ['queries', `train ${about(plan.queries.train)}, test ${about(plan.queries.test)}`],
    ['seed', `${plan.seed}`],
    ...Object.entries(plan.work).map(([key, value]) => [key, `${value}`]),
    ...plan.processes.map(({ role, count, what }) => ['starts', `${count} x ${role}: ${what}`]),
    ...plan.writes.map((path) => ['writes', path]),
    ...plan.missing.map((path) => ['missing', path]),
  ];
  return [`rrr ${plan.command} would do this:`, ...alignColumns(rows, '  ')].join('\n');
}
