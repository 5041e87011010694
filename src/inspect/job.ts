/** How the Slurm job of a run stands: its record in the run directory, and what Slurm says. */
import { RrrError } from '../errors.ts';
import { readAttempts, readJobRecord } from '../jobs/record.ts';
import { isOver, isWaiting, type SlurmJob } from '../jobs/show.ts';
import type { RunPaths } from '../run/paths.ts';
import type { JobRecord } from '../run/records.ts';

export interface JobStatus extends Omit<JobRecord, 'id'> {
  id: number;
  /** unknown: Slurm has forgotten it, or can't be asked, which `unknown` says. */
  state: 'waiting' | 'running' | 'ended' | 'unknown';
  unknown: string | null;
  /** In Slurm's own words; null where it isn't known. */
  slurm: SlurmJob | null;
  /** Number of the last attempt, as in its log's name; 0 before the first. */
  attempt: number;
  /** How that ended, where its script came to the end. */
  last_end: { code: number; requeued: boolean; why: string } | null;
}

/** How often whoever watches a run may ask for its job: Slurm's controller is everybody's. */
export const JOB_POLL_MS = 5000;

const FORGOTTEN = 'Slurm has forgotten this job';

/** Null where the run was never submitted. */
export async function readJob(paths: RunPaths): Promise<JobStatus | null> {
  const record = readJobRecord(paths);
  if (record?.id == null) return null;
  const { id } = record;
  const { slurm, unknown } = await askSlurm({ ...record, id });
  const events = (await readAttempts(paths)).filter((event) => event.job === id);
  const last = events.at(-1);
  return {
    ...record,
    id,
    state: unknown === FORGOTTEN ? 'ended' : stateOf(slurm),
    unknown,
    slurm,
    attempt: last?.attempt ?? 0,
    last_end: last?.event === 'ended' ? { code: last.code, requeued: last.requeued, why: last.why } : null,
  };
}

async function askSlurm(job: { id: number; cluster: string | null }) {
  try {
    // Only here: rrr status and rrr logs of a run that is no job start sooner without it.
    const { showJob } = await import('../jobs/slurm.ts');
    const slurm = (await showJob(job)) ?? null;
    return { slurm, unknown: slurm === null ? FORGOTTEN : null };
  } catch (error) {
    if (error instanceof RrrError) return { slurm: null, unknown: error.message };
    throw error;
  }
}

function stateOf(slurm: SlurmJob | null): JobStatus['state'] {
  if (slurm === null) return 'unknown';
  if (isOver(slurm)) return 'ended';
  return isWaiting(slurm) ? 'waiting' : 'running';
}
