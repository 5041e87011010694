/** Slurm's commands, as far as a job of rrr needs them. */
import { execa } from 'execa';
import { RunError, UserError } from '../errors.ts';
import { parseJob, type SlurmJob } from './show.ts';

const TIMEOUT_MS = 20_000;

/** A job, and the cluster where it isn't the default one. */
export interface JobId {
  id: number;
  cluster: string | null;
}

/** The job as Slurm knows it; undefined once it has forgotten it (MinJobAge). Throws where it can't be asked. */
export async function showJob(job: JobId): Promise<SlurmJob | undefined> {
  const answer = await slurm('scontrol', [...on(job), 'show', 'job', '-o', `${job.id}`]);
  if (!answer.failed) return parseJob(answer.stdout);
  if (/invalid job id/i.test(answer.stderr)) return undefined;
  throw refused(answer);
}

/** The cluster's partitions, and which of `named`, with commas between them, it doesn't have. Throws as `showJob` does. */
export async function checkPartitions(named = ''): Promise<{ known: string[]; unknown: string[] }> {
  const isName = (name: string) => name !== '';
  const known = (await ask('sinfo', ['-h', '-o', '%R'])).split('\n').filter(isName);
  return { known, unknown: named.split(',').filter((name) => isName(name) && !known.includes(name)) };
}

export const SBATCH = ['sbatch', '--parsable'] as const;

export async function submit(script: string): Promise<JobId> {
  const [command, ...args] = SBATCH;
  const [id, cluster] = (await ask(command, [...args, script])).split(';');
  return { id: Number(id), cluster: cluster ?? null };
}

/** Ends the job: SIGTERM to all that it runs, SIGKILL after Slurm's KillWait. */
export async function cancelJob(job: JobId): Promise<void> {
  await ask('scancel', [...on(job), `${job.id}`]);
}

/** SIGTERM to the batch script alone, which ends the run in good order. */
export async function stopJob(job: JobId): Promise<void> {
  await ask('scancel', [...on(job), '--batch', '--signal=TERM', `${job.id}`]);
}

/** From inside of the job: ends it, and puts it into the queue again. */
export async function requeueJob(job: JobId): Promise<void> {
  await ask('scontrol', [...on(job), 'requeue', `${job.id}`]);
}

const on = ({ cluster }: JobId) => (cluster === null ? [] : ['-M', cluster]);

async function ask(command: string, args: string[]): Promise<string> {
  const answer = await slurm(command, args);
  if (answer.failed) throw refused(answer);
  return answer.stdout.trim();
}

/** `detached`: Ctrl-C in the terminal is ours, and must not cut an order in two. */
function slurm(command: string, args: string[]) {
  return execa(command, args, { reject: false, timeout: TIMEOUT_MS, detached: true, stdin: 'ignore' });
}

function refused({ command, code, stderr, shortMessage }: Awaited<ReturnType<typeof slurm>>): Error {
  const [name] = command.split(' ');
  if (code === 'ENOENT') {
    return new UserError(`there is no ${name} on this machine`, {
      cure: 'run this on a login node of the cluster, or put Slurm on the PATH',
    });
  }
  const said = stderr
    .trim()
    .split('\n')
    .filter((line) => line !== '');
  return new RunError(`${name}: ${said.at(-1)?.replace(/^\w+: (error|fatal): /, '') ?? shortMessage}`, {
    details: said.slice(0, -1),
    cure: 'sinfo and squeue tell whether Slurm answers',
  });
}
