/** `rrr cancel RUN`: ends a run in good order, be it a Slurm job or a process of this machine. */
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { RunError, UserError } from '../errors.ts';
import { type JobStatus, readJob } from '../inspect/job.ts';
import { requireRun } from '../inspect/require-run.ts';
import { readStatus } from '../inspect/status.ts';
import { cancelJob, stopJob } from '../jobs/slurm.ts';
import { readLivingHolder } from '../run/lock.ts';
import type { RunPaths } from '../run/paths.ts';
import { findStage } from '../stages/table.ts';
import { showPath } from '../terminal/command-line.ts';
import type { Context, Outcome } from '../terminal/context.ts';
import { resolveUserPath } from '../user-path.ts';

const POLL_MS = 1000;
/** After the grace: Slurm's KillWait, and what it takes to clean up. */
const END_S = 120;

export interface CancelOptions {
  /** Seconds that the run has to finish what it does. */
  grace: number;
}

export async function runCancel(context: Context, given: string, options: CancelOptions): Promise<Outcome> {
  const run = resolveUserPath(context.cwd, given);
  const paths = requireRun(run);
  const job = await readJob(paths);
  const how = await endRun(context, paths, job, options);
  const { stages, state } = await readStatus(run);
  const left = stages.map(
    ({ stage, status, done, total }) =>
      `${stage}: ${status}, ${done}${total === null ? '' : `/${total}`} ${findStage(stage).unit}`,
  );
  const next = how.job ? how.job.resume : `the command that started it, with --resume`;
  const lines = [`${showPath(run, context.cwd)}: ${how.text}`, ...left, `to go on: ${next}`];
  return {
    text: lines.join('\n'),
    json: { run, ended: how.text, state, stages, resume: how.job?.resume ?? null },
  };
}

async function endRun(context: Context, paths: RunPaths, job: JobStatus | null, { grace }: CancelOptions) {
  if (job?.state === 'unknown')
    throw new RunError(`job ${job.id} can't be asked about: ${job.unknown}`, {
      cure: 'run this where Slurm answers',
    });
  if (job?.state === 'waiting') {
    await cancelJob(job);
    return { job, text: `job ${job.id} is taken out of the queue` };
  }
  if (job?.state === 'running') {
    if (job.slurm?.state !== 'COMPLETING') await stopJob(job);
    const isOver = async () => {
      const now = (await readJob(paths))?.state;
      if (now === 'waiting') await cancelJob(job); // its time was over just then, and it went back into the queue
      return now === 'ended';
    };
    context.stderr.write(`job ${job.id}: finishing what runs, for at most ${grace} s\n`);
    if (await waitFor(isOver, grace, context.signal))
      return { job, text: `job ${job.id} has stopped in good order` };
    await cancelJob(job);
    if (await waitFor(isOver, END_S, context.signal)) return { job, text: `job ${job.id} was ended` };
    throw new RunError(`job ${job.id} has not ended ${END_S} s after scancel`, {
      cure: `squeue -j ${job.id}`,
    });
  }
  const holder = readLivingHolder(paths.lock);
  if (!holder)
    throw new UserError(`nothing works on ${paths.run}`, { cure: 'rrr status tells how it stands' });
  const { pid, host } = holder;
  if (host !== hostname())
    throw new UserError(`process ${pid} on ${host} works on it`, { cure: `ssh ${host} kill ${pid}` });
  const isOver = async () => readLivingHolder(paths.lock)?.pid !== pid;
  process.kill(pid, 'SIGTERM');
  context.stderr.write(`process ${pid}: finishing what runs, for at most ${grace} s\n`);
  if (await waitFor(isOver, grace, context.signal))
    return { job: null, text: `process ${pid} has stopped in good order` };
  process.kill(pid, 'SIGTERM'); // the second one: now
  if (await waitFor(isOver, END_S, context.signal)) return { job: null, text: `process ${pid} was ended` };
  throw new RunError(`process ${pid} has not ended`, { cure: `kill -9 ${pid}` });
}

/** Whether it is so within this time. Throws the signal's reason when that aborts. */
async function waitFor(isSo: () => Promise<boolean>, seconds: number, signal: AbortSignal): Promise<boolean> {
  for (const end = Date.now() + 1000 * seconds; Date.now() < end; ) {
    if (await isSo()) return true;
    await sleep(POLL_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
  return isSo();
}
