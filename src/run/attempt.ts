/**
 * Beginning and ending an attempt at a stage. A stage belongs to the config that started it: going on under another
 * config, starting over unasked, and writing over finished work are errors before anything is touched.
 */
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { type Config, resolvedConfigSchema } from '../config/schema.ts';
import { InterruptedError, UserError } from '../errors.ts';
import { makeDirectory } from './directory.ts';
import { readJson, replaceJson } from './files.ts';
import { type FlatValues, fingerprint, flatten, listDifferences } from './fingerprint.ts';
import { lockRun } from './lock.ts';
import { openLog } from './log.ts';
import { readManifest, updateManifest } from './manifest.ts';
import { type RunPaths, runPaths } from './paths.ts';
import type { StageRecord } from './records.ts';

/** What of a stage decides whether the work of an earlier attempt can be continued. */
export interface StageIdentity {
  /** Its key in run.json, and the name of its folder. */
  name: string;
  /** The command that a person runs to get it done, such as "build-failures". */
  command: string;
  /** The part of the config that decides its result. How fast and where it is made may change on the way. */
  decides(config: Config): object;
  /** The config to go on under where a stage that is finished under `done` is asked for more, null where it isn't. */
  widen?(done: Config, now: Config): Config | null;
}

export interface AttemptRequest {
  run: string;
  stage: StageIdentity;
  config: Config;
  resume: boolean;
}

export type Attempt =
  /** Finished by an earlier attempt: there is nothing left to do. */
  | { finished: true; paths: RunPaths }
  | {
      finished: false;
      paths: RunPaths;
      config: Config;
      log: Logger;
      /** An earlier attempt may have left work. */
      resumed: boolean;
      /** Runs the stage's work, records how it ended, and gives the run's lock back. */
      during<T>(work: () => Promise<T>): Promise<T>;
    };

/** Throws UserError when the run directory can't take the stage. */
export function beginAttempt(request: AttemptRequest): Attempt {
  const { run, stage } = request;
  const paths = runPaths(run);
  const decides = flatten(stage.decides(request.config));
  const before = checkStage(request, decides);
  const wider = before?.status === 'finished' ? widen(stage, paths, request.config) : null;
  const isDone = (record: StageRecord | undefined) => record?.status === 'finished' && wider === null;
  if (isDone(before)) return { finished: true, paths };
  const config = wider ?? request.config;
  makeDirectory(run);
  const unlock = lockRun(paths.lock);
  try {
    const record = checkStage(request, decides); // again: another process may have ended it meanwhile
    if (isDone(record)) throw new UserError(`the ${stage.name} stage of ${run} has just been finished`);
    mkdirSync(paths.stage(stage.name), { recursive: true });
    replaceJson(paths.stageConfig(stage.name), config);
    replaceJson(paths.stageDecides(stage.name), decides);
    return {
      paths,
      config,
      log: openLog(paths),
      finished: false,
      resumed: record !== undefined,
      during: (work) => runWork(request, decides, record, work).finally(unlock),
    };
  } catch (error) {
    unlock();
    throw error;
  }
}

function widen({ name, widen }: StageIdentity, paths: RunPaths, now: Config): Config | null {
  return widen?.(resolvedConfigSchema.parse(readJson(paths.stageConfig(name))), now) ?? null;
}

async function runWork<T>(
  { run, stage }: AttemptRequest,
  decides: FlatValues,
  earlier: StageRecord | undefined,
  work: () => Promise<T>,
): Promise<T> {
  const record: StageRecord = {
    status: 'running',
    config_sha: fingerprint(decides),
    started: earlier?.started ?? new Date().toISOString(),
    finished: null,
    attempts: (earlier?.attempts ?? 0) + 1,
    seconds: earlier?.seconds ?? 0,
  };
  const save = () =>
    updateManifest(runPaths(run), ({ stages }) => {
      stages[stage.name] = record;
    });
  const startedAt = Date.now();
  const end = (status: 'finished' | 'interrupted' | 'failed') => {
    record.status = status;
    record.finished = status === 'finished' ? new Date().toISOString() : null;
    record.seconds = (earlier?.seconds ?? 0) + (Date.now() - startedAt) / 1000;
    save();
  };
  save();
  try {
    const result = await work();
    end('finished');
    return result;
  } catch (error) {
    try {
      end(error instanceof InterruptedError ? 'interrupted' : 'failed');
    } catch {
      // Such as a full disk: the stage stays "running", as after a kill, and what is thrown is why it ended.
    }
    throw error;
  }
}

/** Throws UserError unless `stage` is finished under this config. */
export function requireFinished(run: string, stage: StageIdentity, config: Config): void {
  const record = readManifest(runPaths(run))?.stages[stage.name];
  if (record?.status !== 'finished') {
    throw new UserError(`${run} holds no finished ${stage.name} stage`, {
      cure: `run rrr ${stage.command} first`,
    });
  }
  refuseOtherConfig(run, stage, flatten(stage.decides(config)), record);
}

/** Throws UserError where an attempt would be refused for what an earlier one left. */
export function checkEarlier(request: AttemptRequest): void {
  checkStage(request, flatten(request.stage.decides(request.config)));
}

/** What an earlier attempt left, in lines for people. None where a first attempt would begin. */
export function describeEarlier(run: string, stage: StageIdentity, config: Config): string[] {
  try {
    checkEarlier({ run, stage, config, resume: false });
    return [];
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return [`${error.message}: ${error.cure}`, ...(error.details ?? [])];
  }
}

/** What an earlier attempt left. Throws UserError when it can't be continued. */
function checkStage({ run, stage, resume }: AttemptRequest, decides: FlatValues): StageRecord | undefined {
  const record = readManifest(runPaths(run))?.stages[stage.name];
  if (!record || (record.status !== 'finished' && !holdsWork(run, stage))) return undefined;
  refuseOtherConfig(run, stage, decides, record);
  if (resume) return record;
  if (record.status === 'finished') {
    throw new UserError(`the ${stage.name} stage of ${run} is finished`, {
      cure: 'use another run directory (--run) to do it again; --resume accepts what is there',
    });
  }
  throw new UserError(`${run} holds an unfinished ${stage.name} stage`, {
    cure: '--resume goes on with it; --run DIR starts another run',
  });
}

const NO_WORK = ['config.json', 'decides.json'];

/** A stage that failed before it made anything left nothing to protect: it may be begun again, with another config too. */
function holdsWork(run: string, { name }: StageIdentity): boolean {
  const folder = runPaths(run).stage(name);
  return readdirSync(folder, { withFileTypes: true }).some(
    (entry) =>
      !NO_WORK.includes(entry.name) && (entry.isDirectory() || statSync(join(folder, entry.name)).size > 0),
  );
}

function refuseOtherConfig(run: string, stage: StageIdentity, now: FlatValues, record: StageRecord): void {
  if (fingerprint(now) === record.config_sha) return;
  const saved = readJson(runPaths(run).stageDecides(stage.name)) as FlatValues | undefined;
  throw new UserError(`the ${stage.name} stage of ${run} belongs to another config`, {
    details: saved ? listDifferences(saved, now) : [],
    cure: 'use that config, or another run directory (--run)',
  });
}
