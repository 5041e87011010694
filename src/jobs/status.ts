/** How a run stands, from its directory alone: manifest, lock, status file, journals and log. Nothing is written. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { UserError } from '../errors.ts';
import { readJson } from '../run/files.ts';
import { readLines } from '../run/journal.ts';
import { readLivingHolder } from '../run/lock.ts';
import { GrowingFile, parseLogLine } from '../run/logs.ts';
import { type Manifest, readManifest, STAGES, type StageName, type StageRecord } from '../run/manifest.ts';
import { type RunPaths, runPaths } from '../run/paths.ts';
import { readStatusFile, type StatusFile } from '../run/status-file.ts';
import { measurePace } from './progress.ts';

export interface RunStatus {
  run: string;
  /** killed: a stage was begun, and the process that did is gone without a word. */
  state: 'running' | 'killed' | 'interrupted' | 'failed' | 'finished';
  /** Who works on it. */
  process: { pid: number; host: string; since: string } | null;
  /** What a running process does, or what a killed one was last heard to do. */
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
  /** Both as of `updated`. */
  rate_per_s: number;
  eta_s: number | null;
}

export interface StageStatus {
  stage: StageName;
  status: StageRecord['status'] | 'killed';
  attempts: number;
  /** Of the attempts that have ended, but for those that were killed. */
  seconds: number;
  /** Queries, steps or episodes that are on disk. */
  done: number;
  /** Null where it depends on what is still to come. */
  total: number | null;
  /** How the draws of failures, or the models' own first tries of eval, ended: "passed" or the kind of failure. */
  kinds: Record<string, number>;
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
  const holder = readLivingHolder(paths.lock);
  const manifest = readManifest(paths);
  const stages: StageStatus[] = [];
  for (const stage of STAGES) {
    const record = manifest?.stages[stage];
    if (record) stages.push(await readStage(stage, record, holder !== undefined, paths));
  }
  const state = holder ? 'running' : stateOf(stages, manifest);
  const last = readStatusFile(paths.status);
  // What another process left behind is no news of a living one, nor of one that has said how it ended.
  const told = holder ? last?.pid === holder.pid : state === 'killed';
  const workers = readWorkers(paths.log, holder?.pid);
  return {
    run,
    state,
    process: holder ? { pid: holder.pid, host: holder.host, since: holder.since } : null,
    phase: last && told ? describePace(last) : null,
    stages,
    workers: holder ? workers : workers.map((worker) => ({ ...worker, state: 'ended' })),
  };
}

/** The paths of a run directory. Throws UserError when it is none. */
export function requireRun(run: string): RunPaths {
  const paths = runPaths(run);
  // The lock and the log are there before the manifest.
  if (![paths.manifest, paths.lock, paths.log].some((path) => existsSync(path))) {
    throw new UserError(`${run} is no run directory: it holds no run.json`, {
      cure: 'name the directory that was given as --run; without --run it is runs/<name of the config>',
    });
  }
  return paths;
}

function stateOf(stages: readonly StageStatus[], manifest: Manifest | undefined): RunStatus['state'] {
  if (!manifest) return 'killed';
  const open = stages.find(({ status }) => status !== 'finished');
  return (open?.status ?? 'finished') as Exclude<StageStatus['status'], 'running'>;
}

function describePace({ phase, pid, ...numbers }: StatusFile): PhaseStatus {
  const pace = measurePace(
    { ...numbers, startedAt: Date.parse(numbers.started) },
    Date.parse(numbers.updated),
  );
  return { name: phase, ...numbers, rate_per_s: pace.rate, eta_s: pace.eta };
}

async function readStage(
  stage: StageName,
  record: StageRecord,
  alive: boolean,
  paths: RunPaths,
): Promise<StageStatus> {
  const { attempts, seconds } = record;
  const status = record.status === 'running' && !alive ? 'killed' : record.status;
  return { stage, status, attempts, seconds, ...(await COUNT[stage](paths)) };
}

type Counted = Pick<StageStatus, 'done' | 'total' | 'kinds'>;

// Only what is counted here: a line is the job's to check.
const mined = z.object({ result: z.object({ kinds: z.record(z.string(), z.number()) }) });
const episode = z.object({
  answer: z.string(),
  episode: z.object({ first: z.object({ verdict: z.object({ kind: z.string() }) }).nullable() }),
});
const step = z.object({ kind: z.literal('step'), step: z.number() });
const prepared = z.object({ train: z.number() });
const settings = z.object({ train: z.object({ steps: z.number() }) });

const COUNT: Record<StageName, (paths: RunPaths) => Promise<Counted>> = {
  failures: async ({ failuresJournal, dataSummary }) => {
    const counted: Counted = {
      done: 0,
      total: prepared.safeParse(readJson(dataSummary)).data?.train ?? null,
      kinds: {},
    };
    for await (const line of readLines(failuresJournal)) {
      counted.done++;
      for (const [kind, times] of Object.entries(mined.parse(line).result.kinds)) add(counted, kind, times);
    }
    return counted;
  },
  train: async ({ trainEvents, trainDir }) => {
    const { steps } = settings.parse(readJson(join(trainDir, 'config.json'))).train;
    const counted: Counted = { done: 0, total: steps, kinds: {} };
    for await (const line of readLines(trainEvents)) {
      counted.done = step.safeParse(line).data?.step ?? counted.done;
    }
    return counted;
  },
  eval: async ({ evalJournal }) => {
    const counted: Counted = { done: 0, total: null, kinds: {} };
    for await (const line of readLines(evalJournal)) {
      counted.done++;
      const { answer, episode: told } = episode.parse(line);
      if (answer === 'own' && told.first) add(counted, told.first.verdict.kind, 1);
    }
    return counted;
  },
};

function add({ kinds }: Counted, kind: string, times: number): void {
  kinds[kind] = (kinds[kind] ?? 0) + times;
}

/** What the log tells of the workers of one process: the one with this id, or the last one. */
function readWorkers(log: string, pid: number | undefined): WorkerStatus[] {
  let process: number | undefined;
  let workers = new Map<string, WorkerStatus>();
  for (const line of new GrowingFile(log).newLines()) {
    const record = parseLogLine(line);
    if (record?.worker === undefined) continue;
    if (record.rrr !== process) workers = new Map();
    process = record.rrr;
    const name = record.worker;
    const worker = workers.get(name);
    if (record.msg === 'worker started') {
      // After a loss this is a restart; after an orderly end it is the worker of the next model.
      const restarts = (worker?.restarts ?? 0) + (worker?.state === 'lost' ? 1 : 0);
      workers.set(name, { name, state: 'starting', restarts, lost: worker?.lost ?? null });
    } else if (worker && record.msg === 'worker ready') worker.state = 'ready';
    else if (worker && record.msg === 'worker exited') worker.state = 'ended';
    else if (worker && record.msg === 'worker lost')
      Object.assign(worker, { state: 'lost', lost: String(record.reason) });
  }
  return pid === undefined || pid === process ? [...workers.values()] : [];
}
