/** `rrr attempt begin|end RUN`: what the batch script of `rrr submit` calls around the run, inside of the job. */
import { rmSync, symlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { RrrError, RunError, UserError } from '../errors.ts';
import { readStages } from '../inspect/status.ts';
import { appendAttempt, isStuck, readAttempts, readJobRecord, writeJobRecord } from '../jobs/record.ts';
import { requeueJob, showJob } from '../jobs/slurm.ts';
import { type RunPaths, runPaths } from '../run/paths.ts';
import { showPath } from '../terminal/command-line.ts';
import type { Context, Outcome } from '../terminal/context.ts';

export interface AttemptEndOptions {
  /** rrr's exit code. */
  code: number;
  /** Slurm has told that the job's time is nearly over. */
  ahead?: boolean;
}

/** Stopped with everything saved: in good order, or by SIGTERM before it had begun to listen. */
const STOPPED = [130, 143];
const STUCK = 'the last two attempts got no further: going on would not end';
const STUCK_CURE =
  'give the job more time (launch.slurm.time), or save more often (train.checkpoint_every), then submit it again with --resume';

/** Shows the path of the attempt's log. Throws RunError where another attempt would be in vain. */
export async function beginAttempt(context: Context, run: string): Promise<Outcome> {
  const { paths, job } = insideJob(run);
  const record = readJobRecord(paths);
  if (!record) throw new UserError(`${paths.jobRecord} is missing`, { cure: 'submit the run again' });
  if (record.id === null) writeJobRecord(paths, { ...record, id: job });
  const events = await readAttempts(paths);
  const done = await countDone(paths);
  const attempt = events.filter(({ event }) => event === 'started').length + 1;
  const stamp = { time: new Date().toISOString(), job, attempt };
  if (isStuck(events, job, done)) {
    await appendAttempt(paths, {
      ...stamp,
      attempt: attempt - 1,
      event: 'ended',
      code: 1,
      requeued: false,
      why: STUCK,
    });
    throw new RunError(STUCK, { cure: STUCK_CURE });
  }
  const nodes = process.env.SLURM_JOB_NODELIST ?? '';
  await appendAttempt(paths, { ...stamp, event: 'started', nodes, done });
  const log = paths.attemptLog(attempt);
  rmSync(paths.lastAttemptLog, { force: true });
  symlinkSync(basename(log), paths.lastAttemptLog);
  context.stderr.write(`attempt ${attempt} at job ${job} on ${nodes}: ${showPath(log, context.cwd)}\n`);
  return { text: log, json: { attempt, log } };
}

/** Records how it ended, and puts the job back into the queue where its time was over and work is left. */
export async function endAttempt(
  context: Context,
  run: string,
  options: AttemptEndOptions,
): Promise<Outcome | undefined> {
  const { code } = options;
  const { paths, job } = insideJob(run);
  const events = await readAttempts(paths);
  const attempt = events.filter(({ event }) => event === 'started').length;
  const end = async (requeued: boolean, why: string): Promise<Outcome> => {
    const time = new Date().toISOString();
    await appendAttempt(paths, { time, job, attempt, event: 'ended', code, requeued, why });
    const text = `attempt ${attempt} ended with exit code ${code}: ${why}`;
    return { text, json: { attempt, code, requeued, why }, exitCode: code };
  };
  if (!STOPPED.includes(code)) return end(false, code === 0 ? 'finished' : 'failed');
  const cluster = readJobRecord(paths)?.cluster ?? null;
  const known = await showJob({ id: job, cluster });
  // A job that is being ended, and not for its time, was cancelled or preempted since the signal: that is Slurm's to go on with.
  const isOver = known?.reason === 'TimeLimit' || (options.ahead && known?.state !== 'COMPLETING');
  if (!isOver) return end(false, 'stopped; submit it again with --resume');
  if (!readJobRecord(paths)?.requeue)
    return end(false, 'its time is over, and launch.slurm.requeue is false');
  if (isStuck(events, job, await countDone(paths))) return end(false, `${STUCK}; ${STUCK_CURE}`);
  const outcome = await end(true, 'its time is over: it goes back into the queue');
  context.stderr.write(`${outcome.text}\n`);
  try {
    // Ends this process, too.
    await requeueJob({ id: job, cluster });
    return undefined;
  } catch (error) {
    if (!(error instanceof RrrError)) throw error;
    return end(false, `its time is over, and it can't go back into the queue: ${error.message}`);
  }
}

function insideJob(run: string): { paths: RunPaths; job: number } {
  const job = Number(process.env.SLURM_JOB_ID);
  if (!Number.isInteger(job)) {
    throw new UserError('this is a command for the batch script of a Slurm job', {
      cure: 'rrr submit writes one',
    });
  }
  return { paths: runPaths(run), job };
}

/** Units of work of all stages, and the stages that are finished. */
async function countDone(paths: RunPaths): Promise<number> {
  const stages = await readStages(paths, false);
  return stages.reduce((sum, { done, status }) => sum + done + (status === 'finished' ? 1 : 0), 0);
}
