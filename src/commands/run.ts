/** `rrr run`: the stages of a run, one after the other, as their own commands would do them. */
import { readManifest } from '../run/manifest.ts';
import { runPaths } from '../run/paths.ts';
import { executeStage } from '../stages/execute.ts';
import { requirePackages } from '../stages/packages.ts';
import { planStage } from '../stages/plan.ts';
import { SamplerPools } from '../stages/sampler-pools.ts';
import type { Stage } from '../stages/stage.ts';
import { findStage, RUN_STAGES } from '../stages/table.ts';
import type { Context, Outcome } from '../terminal/context.ts';
import { ProgressRenderer } from '../terminal/progress.ts';
import { requireConfig } from '../terminal/require-config.ts';
import { asSmoke, planSmoke, prepareSmoke, requireFailures } from './smoke.ts';
import { renderPlan, runDirectory, type StageOptions, viewFrom } from './stage.ts';

export interface RunOptions extends StageOptions {
  smoke?: boolean;
}

export async function runAll(context: Context, options: RunOptions): Promise<Outcome> {
  const smoke = options.smoke ? planSmoke(context, options) : undefined;
  const { config, run } = smoke ?? {
    config: requireConfig(context, options),
    run: runDirectory(context, options),
  };
  const stages = RUN_STAGES.map(findStage);
  if (options.dryRun) {
    const plans = await Promise.all(stages.map((stage) => planStage(stage, config, run, RUN_STAGES)));
    return { text: plans.map(renderPlan).join('\n\n'), json: { plans } };
  }
  requirePackages(stages, config, run);
  if (smoke) prepareSmoke(smoke, options);
  const { stderr, signal } = context;
  const samplers = new SamplerPools();
  const seconds: Record<string, number> = {};
  let outcome: Outcome | undefined;
  try {
    for (const [index, stage] of stages.entries()) {
      const startedAt = performance.now();
      const left = stages.length - 1 - index;
      stderr.write(`stage ${index + 1} of ${stages.length}: ${stage.command}\n`);
      const progress = new ProgressRenderer(stderr, `[${index + 1}/${stages.length}] `);
      const resume = (options.resume ?? false) && isBegun(run, stage);
      const request = { config, run, resume, options: { ...options }, signal, progress };
      const summary = await executeStage(stage, { ...request, samplers, keepSamplers: left > 0 });
      seconds[stage.name] = since(startedAt);
      if (smoke) requireFailures(smoke);
      if (left === 0) outcome = (await stage.load()).show(summary, viewFrom(context, run));
    }
  } finally {
    await samplers.stop();
  }
  const { text, json } = smoke ? asSmoke(smoke, outcome as Outcome) : (outcome as Outcome);
  // From the start of this process.
  const clock = { wall_seconds: since(0), stage_seconds: seconds };
  return { text, json: { ...(json as object), ...clock } };
}

/** A stage that was never begun has nothing to go on with. */
function isBegun(run: string, { name }: Stage): boolean {
  return readManifest(runPaths(run))?.stages[name] !== undefined;
}

function since(startedAt: number): number {
  return Math.round(performance.now() - startedAt) / 1000;
}
