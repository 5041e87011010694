/** A run's Slurm job for people: where it stands, what it waits for and what would help. */
import type { JobStatus } from '../inspect/job.ts';
import type { SlurmJob } from '../jobs/show.ts';
import { duration } from '../report/format.ts';

/** Slurm's reasons, and what they mean for who waits. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/^Resources$/, 'free nodes; it is next'],
  [/^Priority$/, 'jobs of higher priority are before it'],
  [/^BeginTime$/, 'Slurm starts a requeued job two minutes later, not at once'],
  [/^(QOS|Assoc)\w*(Max|Grp)|^Max\w+PerAccount/, 'a limit of your account or QOS: other jobs must end first'],
  [
    /^(PartitionTimeLimit|QOSTimeLimit|AssocTimeLimit)$/,
    'NEVER, as it is: launch.slurm.time is more than is allowed',
  ],
  [/^PartitionNodeLimit$/, 'NEVER, as it is: launch.slurm.nodes is more than the partition has or allows'],
  [
    /^(BadConstraints|InvalidAccount|InvalidQOS|AccountNotAllowed|QOSNotAllowed|PartitionConfig)/,
    'NEVER, as it is: cancel it, correct launch.slurm, submit it again',
  ],
  [/^(PartitionDown|PartitionInactive)$/, 'the partition is closed'],
  [/^(ReqNodeNotAvail|NodeDown|Nodes required)/, 'nodes that are down, drained or reserved'],
  [/^JobHeld|held/, 'it is held: scontrol release, once the cause is gone'],
  [/^Dependency/, 'other jobs must end first'],
];

export function describeJob(job: JobStatus, now = Date.now()): string[] {
  const { slurm } = job;
  const where = job.cluster === null ? '' : ` on ${job.cluster}`;
  const told = slurm ? describe(job, slurm, now) : [`${job.unknown}`];
  const { last_end } = job;
  // A requeued one has ended otherwise since.
  const end =
    job.state === 'ended' && last_end && !last_end.requeued
      ? [`attempt ${job.attempt}: ${last_end.why}`]
      : [];
  const next = job.state === 'ended' && last_end?.code !== 0 ? [`to go on: ${job.resume}`] : [];
  return [`${job.id}${where} (rrr ${job.command}): ${told[0]}`, ...told.slice(1), ...end, ...next];
}

function describe(job: JobStatus, slurm: SlurmJob, now: number): string[] {
  const attempt = job.attempt > 1 ? `, attempt ${job.attempt}` : '';
  const times = slurm.restarts === 1 ? 'once' : `${slurm.restarts} times`;
  const requeued = slurm.restarts === 0 ? '' : `, requeued ${times}`;
  const reason = slurm.reason?.replaceAll('_', ' ') ?? null;
  if (job.state === 'waiting') {
    const meaning = REASONS.find(([pattern]) => reason !== null && pattern.test(reason))?.[1];
    const why = [reason, meaning].filter((part) => part != null).join(': ');
    const ahead = slurm.start === null ? 'not known yet' : expected(slurm.start, now);
    return [
      `${slurm.state.toLowerCase()}${requeued}${why === '' ? '' : `; ${why}`}`,
      `expected start: ${ahead}`,
    ];
  }
  const nodes = slurm.nodes === null ? '' : ` on ${slurm.nodes}`;
  if (job.state === 'running') {
    const limit = slurm.limit_s === null ? '' : ` of ${duration(slurm.limit_s)}`;
    return [
      `${slurm.state.toLowerCase()}${nodes} for ${duration(slurm.seconds)}${limit}${attempt}${requeued}`,
    ];
  }
  const code =
    slurm.signal > 0
      ? `, signal ${slurm.signal}`
      : slurm.exit_code > 0
        ? `, exit code ${slurm.exit_code}`
        : '';
  const end = slurm.end === null ? '' : `, ${slurm.end}`;
  return [`ended: ${slurm.state}${code}${nodes} after ${duration(slurm.seconds)}${attempt}${requeued}${end}`];
}

function expected(start: string, now: number): string {
  const seconds = (Date.parse(start) - now) / 1000;
  return seconds > 0 ? `${start}, in ${duration(seconds)}` : start;
}
