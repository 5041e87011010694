/**
 * A job as `scontrol show job -o` prints it: one line of Key=value, the same in all versions, and without the plugins that
 * the JSON of squeue needs, whose form changes with the version.
 */

export interface SlurmJob {
  /** Such as PENDING, RUNNING or TIMEOUT. */
  state: string;
  /** Why it waits, or how it ended: Slurm's word, such as Resources. */
  reason: string | null;
  partition: string | null;
  /** When it has started, or is expected to. */
  start: string | null;
  end: string | null;
  /** Such as n[1-2]. */
  nodes: string | null;
  seconds: number;
  /** Time limit; null where there is none. */
  limit_s: number | null;
  restarts: number;
  exit_code: number;
  /** What ended it, 0 where none did. */
  signal: number;
}

/** States that a job doesn't leave by itself. All others, also those of later versions, are taken for a living job's. */
const OVER = [
  'BOOT_FAIL',
  'CANCELLED',
  'COMPLETED',
  'DEADLINE',
  'FAILED',
  'NODE_FAIL',
  'OUT_OF_MEMORY',
  'PREEMPTED',
  'REVOKED',
  'TIMEOUT',
];

export const isOver = ({ state }: Pick<SlurmJob, 'state'>) => OVER.includes(state);

/** States that wait for nodes. */
export const isWaiting = ({ state }: Pick<SlurmJob, 'state'>) =>
  ['PENDING', 'REQUEUED', 'REQUEUE_FED', 'REQUEUE_HOLD', 'SPECIAL_EXIT', 'RESV_DEL_HOLD'].includes(state);

/** What a version doesn't tell is null or 0. */
export function parseJob(line: string): SlurmJob {
  const value = (key: string) => {
    const found = new RegExp(`(?:^|\\s)${key}=(\\S*)`).exec(line)?.[1];
    return found === undefined || /^(\(null\)|None|N\/A|Unknown|)$/.test(found) ? null : found;
  };
  const [exitCode, signal] = (value('ExitCode') ?? '0:0').split(':').map(Number);
  return {
    state: value('JobState') ?? 'UNKNOWN',
    reason: value('Reason'),
    partition: value('Partition'),
    start: parseTime(value('StartTime')),
    end: parseTime(value('EndTime')),
    nodes: value('NodeList'),
    seconds: parseSpan(value('RunTime')) ?? 0,
    limit_s: parseSpan(value('TimeLimit')),
    restarts: Number(value('Restarts') ?? 0),
    exit_code: exitCode ?? 0,
    signal: signal ?? 0,
  };
}

/** Slurm prints the local time. */
function parseTime(text: string | null): string | null {
  const date = new Date(text ?? '');
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}

/** Seconds of [D-]HH:MM:SS; null for UNLIMITED. */
function parseSpan(text: string | null): number | null {
  const [, days, hours, minutes, seconds] = /^(?:(\d+)-)?(\d+):(\d+):(\d+)$/.exec(text ?? '') ?? [];
  if (seconds === undefined) return null;
  return ((Number(days ?? 0) * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds);
}
