/** An attempt at a stage: what it needs is checked, the run is locked, and what happens is recorded. */
import type { Config } from '../config/schema.ts';
import { requireJob } from '../launch/allocation.ts';
import { launcherFor } from '../launch/from-config.ts';
import type { Launcher } from '../launch/launcher.ts';
import { beginAttempt, requireFinished } from '../run/attempt.ts';
import type { Progress } from '../run/progress.ts';
import { RecordedProgress } from '../run/recorded-progress.ts';
import { WorkerEvents } from '../run/worker-events.ts';
import { chooseCommits } from './hub.ts';
import { requirePackages } from './packages.ts';
import { SamplerPools } from './sampler-pools.ts';
import type { Stage } from './stage.ts';
import { findStage } from './table.ts';

export interface StageRequest {
  config: Config;
  /** The run directory, absolute. */
  run: string;
  resume: boolean;
  /** Its abort asks for an end in good order; the stage then throws its reason. */
  signal: AbortSignal;
  progress: Progress;
  /** Values of the stage's own flags. */
  options?: Readonly<Record<string, unknown>>;
  /** Where processes start. Default: as the config says. */
  launcher?: Launcher;
  /** Of a command that runs several stages. */
  samplers?: SamplerPools;
  /** Another stage follows, which may go on with the sampling workers. */
  keepSamplers?: boolean;
}

/** Returns the stage's summary, also where an earlier attempt had finished it. Throws an RrrError. */
export async function executeStage<Summary>(stage: Stage<Summary>, request: StageRequest): Promise<Summary> {
  const { run, signal } = request;
  for (const name of stage.needs(request.config)) requireFinished(run, findStage(name), request.config);
  requirePackages([stage], request.config, run);
  const work = await stage.load();
  if (request.config.launch.kind === 'slurm' && !request.launcher) requireJob(); // before anything is written
  const attempt = beginAttempt({ ...request, stage });
  const { paths } = attempt;
  if (attempt.finished) return work.readSummary(paths);
  const { config, log, resumed } = attempt;
  if (request.resume && !resumed)
    request.progress.note(`there is no ${stage.name} stage to go on with in ${run}: it starts anew`);
  await attempt.during(async () => {
    const launcher = request.launcher ?? (await launcherFor(config, paths.logs));
    const recorder = await WorkerEvents.open(paths, log);
    const progress = new RecordedProgress(request.progress, paths.status);
    const { options = {}, samplers = new SamplerPools() } = request;
    const asked = { config, paths, signal, progress, launcher, log };
    const hubCommits = await chooseCommits(stage.hub?.(config) ?? [], asked);
    const job = {
      hubCommits,
      config,
      paths,
      resumed,
      options,
      signal,
      progress,
      log,
      launcher,
      recorder,
      samplers,
    };
    let keep = false;
    try {
      samplers.enter(job);
      if (stage.gpus) await samplers.makeRoom(stage.gpus(config));
      await work.run(job);
      keep = request.keepSamplers ?? false;
    } finally {
      await samplers.leave(keep);
      progress.finish();
      recorder.close();
    }
  });
  return work.readSummary(paths);
}
