/** `rrr submit`: the batch script that runs a command of rrr in a Slurm job, and its way into the queue. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { closestMatch } from 'leven';
import { stringify } from 'yaml';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { UserError } from '../errors.ts';
import { readJob } from '../inspect/job.ts';
import { readJobRecord, writeJobRecord } from '../jobs/record.ts';
import { renderScript } from '../jobs/script.ts';
import { checkPartitions, type JobId, SBATCH, submit } from '../jobs/slurm.ts';
import { checkEarlier } from '../run/attempt.ts';
import { makeDirectory } from '../run/directory.ts';
import { replaceFile } from '../run/files.ts';
import { lockRun, readLivingHolder } from '../run/lock.ts';
import { readManifest } from '../run/manifest.ts';
import { type RunPaths, runPaths } from '../run/paths.ts';
import type { JobRecord } from '../run/records.ts';
import type { Plan } from '../stages/plan.ts';
import { findStage, RUN_STAGES, STAGES } from '../stages/table.ts';
import { nextLine, resumeLine, showPath } from '../terminal/command-line.ts';
import type { Context, Outcome } from '../terminal/context.ts';
import { quoteWord } from '../text.ts';
import { runAll } from './run.ts';
import { runDirectory, runStage, type StageOptions } from './stage.ts';

export interface SubmitOptions extends StageOptions {
  /** A single command in place of "run". */
  only?: string;
  acceptVersions?: boolean;
}

export async function runSubmit(context: Context, options: SubmitOptions): Promise<Outcome> {
  const { cwd, program } = context;
  const command = options.only ?? 'run';
  const stages = stagesOf(command);
  const plans = await planDry(context, options);
  const config = loadConfig({ file: options.config, sets: options.set ?? [], cwd }).config as Config;
  const paths = runPaths(runDirectory(context, options));
  if (!options.dryRun) await refuseSecond(paths);
  for (const stage of stages)
    checkEarlier({ ...options, run: paths.run, stage, config, resume: options.resume ?? false });
  const missing = plans.flatMap((plan) => plan.missing);
  if (missing.length > 0)
    throw new UserError(`${command} needs what is not there`, {
      details: missing,
      cure: 'submit it as a whole, without --only',
    });
  refuseLaunch(config);

  const flags = options.acceptVersions ? ['--accept-versions'] : [];
  const args = [command, '-c', paths.jobConfig, '--run', paths.run, '--resume', ...flags];
  const fetched = Object.keys(readManifest(paths)?.hub ?? {}).length > 0;
  const script = renderScript({ config, paths, program: [process.execPath, program], args, cwd, fetched });
  const sbatch = [...SBATCH, paths.jobScript];
  if (options.dryRun) {
    const text = `${script}\nwould be written to ${paths.jobScript}, and submitted with\n  ${sbatch.map(quoteWord).join(' ')}`;
    return { text, json: { script, sbatch, plans } };
  }

  makeDirectory(paths.run);
  mkdirSync(paths.job, { recursive: true });
  const unlock = lockRun(paths.jobLock);
  try {
    await refuseSecond(paths); // again: another submit may have come first
    await refusePartition(config);
    writeFileSync(
      paths.jobConfig,
      `# ${options.config} as it was when it was submitted\n${stringify(config)}`,
    );
    replaceFile(paths.jobScript, script);
    const resume = resumeLine(context, ['submit']);
    const { requeue } = config.launch.slurm;
    const job = await submitRecorded(paths, {
      submitted: new Date().toISOString(),
      command,
      resume,
      requeue,
    });
    const next = (name: string, ...more: string[]) =>
      nextLine({ ...context, args: ['', showPath(paths.run, cwd), ...more] }, name);
    const lines = [
      `job ${job.id} is in the queue: ${showPath(paths.jobScript, cwd)}`,
      `how it stands: ${next('status')}`,
      `what it says: ${next('logs', '--follow')}`,
      `to end it: ${next('cancel')}`,
    ];
    return {
      text: lines.join('\n'),
      json: { job: job.id, cluster: job.cluster, run: paths.run, script: paths.jobScript },
    };
  } finally {
    unlock();
  }
}

/** The record is there before the job, which may start at once. */
async function submitRecorded(paths: RunPaths, record: Omit<JobRecord, keyof JobId>): Promise<JobId> {
  const earlier = readJobRecord(paths);
  writeJobRecord(paths, { ...record, id: null, cluster: null });
  try {
    const job = await submit(paths.jobScript);
    writeJobRecord(paths, { ...record, ...job });
    return job;
  } catch (error) {
    if (earlier) writeJobRecord(paths, earlier);
    else rmSync(paths.jobRecord);
    throw error;
  }
}

const stagesOf = (command: string) =>
  command === 'run' ? RUN_STAGES.map(findStage) : STAGES.filter((stage) => stage.command === command);

/** What --dry-run of the command itself says, or refuses. */
async function planDry(context: Context, options: SubmitOptions): Promise<Plan[]> {
  const dry = { ...options, dryRun: true };
  if (options.only === undefined) return ((await runAll(context, dry)).json as { plans: Plan[] }).plans;
  const [stage] = stagesOf(options.only);
  if (!stage) {
    throw new UserError(`--only ${options.only}: there is no such command`, {
      cure: `name one of ${STAGES.map((each) => each.command).join(', ')}`,
    });
  }
  return [(await runStage(context, stage, dry)).json as Plan];
}

function refuseLaunch({ launch }: Config): void {
  const { nodes, time, signal_ahead_s } = launch.slurm;
  if (launch.kind === 'local' && nodes > 1) {
    throw new UserError(
      `launch.slurm.nodes is ${nodes}, and launch.kind: local works on the first node alone`,
      {
        cure: 'launch.kind: slurm',
      },
    );
  }
  if (time !== undefined && secondsOf(time) <= signal_ahead_s) {
    throw new UserError(
      `launch.slurm.time is ${time}, which launch.slurm.signal_ahead_s (${signal_ahead_s} s) leaves nothing of`,
      {
        cure: 'more time, or a later signal',
      },
    );
  }
}

/** Of minutes, H:MM:SS, minutes:seconds or D-hours[:MM[:SS]], as Slurm reads them. */
function secondsOf(time: string): number {
  const [clock = '', days] = time.split('-').reverse();
  const [first = 0, second = 0, third = 0] = clock.split(':').map(Number);
  if (days !== undefined) return ((Number(days) * 24 + first) * 60 + second) * 60 + third;
  return clock.split(':').length === 3 ? (first * 60 + second) * 60 + third : first * 60 + second;
}

/** One job, or one rrr, works on a run. */
async function refuseSecond(paths: RunPaths): Promise<void> {
  const job = await readJob(paths);
  if (job !== null && job.state !== 'ended') {
    const state = job.unknown ?? job.slurm?.state.toLowerCase();
    throw new UserError(`job ${job.id} of this run lives: ${state}`, {
      cure: 'wait for it, or end it with rrr cancel',
    });
  }
  const holder = readLivingHolder(paths.lock);
  if (holder) {
    throw new UserError(
      `another rrr works on this run: process ${holder.pid} on ${holder.host}, since ${holder.since}`,
      {
        cure: 'wait for it, or end it with rrr cancel',
      },
    );
  }
}

async function refusePartition({ launch }: Config): Promise<void> {
  const { known, unknown } = await checkPartitions(launch.slurm.partition);
  if (unknown.length === 0) return;
  const close = closestMatch(unknown[0] as string, known, { maxDistance: 2 });
  throw new UserError(`launch.slurm.partition: this cluster has no partition ${unknown.join(', ')}`, {
    cure: close === undefined ? `name one of ${known.join(', ')}` : `did you mean ${close}?`,
  });
}
