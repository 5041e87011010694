/** How a run stands, from its directory alone: manifest, lock, status file and journals. Nothing is written. */
import { readLines } from '../run/journal.ts';
import { readLivingHolder } from '../run/lock.ts';
import { readManifest } from '../run/manifest.ts';
import type { RunPaths } from '../run/paths.ts';
import { remaining } from '../run/progress.ts';
import { type Manifest, type StageRecord, type StatusFile, workerEvent } from '../run/records.ts';
import { readStatusFile } from '../run/status-file.ts';
import type { Counted, Stage } from '../stages/stage.ts';
import { STAGES } from '../stages/table.ts';
import { type JobStatus, readJob } from './job.ts';
import { requireRun } from './require-run.ts';

export interface RunStatus {
  run: string;
  /**
   * killed: a stage was begun, and its process is gone without having recorded an end. new: none was begun.
   * waiting: its Slurm job has not begun to work on it.
   */
  state: 'new' | 'running' | 'waiting' | 'killed' | 'interrupted' | 'failed' | 'finished';
  /** The Slurm job that was submitted for it last. */
  job: JobStatus | null;
  /** Who works on it. */
  process: { pid: number; host: string; since: string } | null;
  /** What a running process does, or the last that a killed one reported. */
  phase: PhaseStatus | null;
  stages: StageStatus[];
  /** Of the process that worked on it last. */
  workers: WorkerStatus[];
}

export interface PhaseStatus {
  name: string;
  done: number;
  total: number | null;
  /** Done in this phase by earlier attempts. */
  before: number;
  counters: Record<string, number | string>;
  started: string;
  updated: string;
  /** Both of late, as of `updated`; null until they are known. */
  rate_per_s: number | null;
  eta_s: number | null;
}

export interface StageStatus extends Counted {
  stage: string;
  status: StageRecord['status'] | 'killed';
  attempts: number;
  /** Of the attempts that have ended, but for those that were killed. */
  seconds: number;
}

export interface WorkerStatus {
  name: string;
  state: 'starting' | 'ready' | 'lost' | 'ended';
  restarts: number;
  /** Why it was lost the last time. */
  lost: string | null;
}

/** Throws UserError when `run` is no run directory. */
export async function readStatus(run: string): Promise<RunStatus> {
  const paths = requireRun(run);
  const job = await readJob(paths);
  const holder = readLivingHolder(paths.lock);
  const manifest = readManifest(paths);
  const stages = await readStages(paths, holder !== undefined);
  const isAwaited = job?.state === 'waiting' || job?.state === 'running';
  const state = holder ? 'running' : isAwaited ? 'waiting' : stateOf(stages, manifest);
  const last = readStatusFile(paths.status);
  // A status file of another process than the living one is old, and so is one of a process that recorded how it ended.
  const isCurrent = holder ? last?.pid === holder.pid : state === 'killed';
  const workers = await readWorkers(paths, holder?.pid);
  return {
    run,
    state,
    job,
    process: holder ? { pid: holder.pid, host: holder.host, since: holder.since } : null,
    phase: last && isCurrent ? describePace(last) : null,
    stages,
    workers: holder ? workers : workers.map((worker) => ({ ...worker, state: 'ended' })),
  };
}

/** Those that were begun. `alive`: somebody works on the run. */
export async function readStages(paths: RunPaths, alive: boolean): Promise<StageStatus[]> {
  const manifest = readManifest(paths);
  const stages: StageStatus[] = [];
  for (const stage of STAGES) {
    const record = manifest?.stages[stage.name];
    if (record) stages.push(await readStage(stage, record, alive, paths));
  }
  return stages;
}

function stateOf(stages: readonly StageStatus[], manifest: Manifest | undefined): RunStatus['state'] {
  if (!manifest) return 'killed';
  if (stages.length === 0) return 'new';
  const open = stages.find(({ status }) => status !== 'finished');
  return (open?.status ?? 'finished') as Exclude<StageStatus['status'], 'running'>;
}

function describePace({ phase, pid, ...numbers }: StatusFile): PhaseStatus {
  return { name: phase, ...numbers, eta_s: remaining(numbers, numbers.rate_per_s) };
}

async function readStage(
  stage: Stage,
  record: StageRecord,
  alive: boolean,
  paths: RunPaths,
): Promise<StageStatus> {
  const { attempts, seconds } = record;
  const status = record.status === 'running' && !alive ? 'killed' : record.status;
  const { count } = await stage.load();
  return { stage: stage.name, status, attempts, seconds, ...(await count(paths)) };
}

/** What became of the workers of one process: the one with this id, or the last one. */
async function readWorkers({ workerEvents }: RunPaths, pid: number | undefined): Promise<WorkerStatus[]> {
  let process: number | undefined;
  let workers = new Map<string, WorkerStatus>();
  for await (const line of readLines(workerEvents)) {
    const event = workerEvent.parse(line);
    if (event.rrr !== process) workers = new Map();
    process = event.rrr;
    const name = event.worker;
    const worker = workers.get(name);
    if (event.event === 'started') {
      // After a loss this is a restart; after an orderly end it is the worker of the next model.
      const restarts = (worker?.restarts ?? 0) + (worker?.state === 'lost' ? 1 : 0);
      workers.set(name, { name, state: 'starting', restarts, lost: worker?.lost ?? null });
    } else if (worker && event.event === 'ready') worker.state = 'ready';
    else if (worker && event.event === 'exited') worker.state = 'ended';
    else if (worker && event.event === 'lost') Object.assign(worker, { state: 'lost', lost: event.reason });
  }
  return pid === undefined || pid === process ? [...workers.values()] : [];
}
