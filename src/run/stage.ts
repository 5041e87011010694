/**
 * Beginning and ending a stage. A stage belongs to the config that started it: going on under another config, starting
 * over unasked, and writing over finished work are errors before anything is touched.
 */
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Config } from '../config/schema.ts';
import { InterruptedError, UserError } from '../errors.ts';
import { decisiveValues, fingerprint, listDifferences } from './decisive.ts';
import { readJson, replaceJson } from './files.ts';
import { lockRun } from './lock.ts';
import { openLog } from './log.ts';
import { readManifest, type StageName, type StageRecord, updateManifest } from './manifest.ts';
import { type RunPaths, runPaths } from './paths.ts';

export interface StageRequest {
  run: string;
  stage: StageName;
  config: Config;
  resume: boolean;
}

export interface Stage {
  paths: RunPaths;
  log: Logger;
  /** Finished by an earlier attempt: there is nothing left to do. */
  finished: boolean;
  /** An earlier attempt may have left work. */
  resumed: boolean;
  /** Runs the stage's work, records how it ended, and gives the run's lock back. */
  during<T>(work: () => Promise<T>): Promise<T>;
}

/** Throws UserError when the run directory can't take the stage. */
export function beginStage(request: StageRequest): Stage {
  const { run, stage, config } = request;
  const paths = runPaths(run);
  const before = checkStage(request);
  if (before?.status === 'finished') {
    const during = () => Promise.reject(new Error(`the ${stage} stage is finished`));
    return { paths, log: openLog(paths), finished: true, resumed: true, during };
  }
  const unlock = lockRun(paths.lock);
  try {
    const record = checkStage(request); // again: another process may have ended it meanwhile
    if (record?.status === 'finished')
      throw new UserError(`the ${stage} stage of ${run} has just been finished`);
    mkdirSync(join(run, stage), { recursive: true });
    replaceJson(configPath(run, stage), config);
    return {
      paths,
      log: openLog(paths),
      finished: false,
      resumed: record !== undefined,
      during: (work) => runWork(request, record, work).finally(unlock),
    };
  } catch (error) {
    unlock();
    throw error;
  }
}

async function runWork<T>(
  { run, stage, config }: StageRequest,
  earlier: StageRecord | undefined,
  work: () => Promise<T>,
): Promise<T> {
  const record: StageRecord = {
    status: 'running',
    config_sha: fingerprint(decisiveValues(stage, config)),
    started: earlier?.started ?? new Date().toISOString(),
    finished: null,
    attempts: (earlier?.attempts ?? 0) + 1,
    seconds: earlier?.seconds ?? 0,
  };
  const save = () =>
    updateManifest(runPaths(run), ({ stages }) => {
      stages[stage] = record;
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
      // The disk is full, say: the stage stays "running", as after a kill, and what is thrown is why it ended.
    }
    throw error;
  }
}

/** Throws UserError unless `stage` is finished under this config. `command` is what a person runs to get there. */
export function requireStage(run: string, stage: StageName, config: Config, command: string): void {
  const record = readManifest(runPaths(run))?.stages[stage];
  if (record?.status !== 'finished') {
    throw new UserError(`${run} holds no finished ${stage} stage`, { cure: `run ${command} first` });
  }
  refuseOtherConfig(run, stage, config, record);
}

/** What an earlier attempt left. Throws UserError when it can't be gone on with. */
function checkStage({ run, stage, config, resume }: StageRequest): StageRecord | undefined {
  const record = readManifest(runPaths(run))?.stages[stage];
  if (!record || (record.status !== 'finished' && !holdsWork(run, stage))) return undefined;
  refuseOtherConfig(run, stage, config, record);
  if (resume) return record;
  if (record.status === 'finished') {
    throw new UserError(`the ${stage} stage of ${run} is finished`, {
      cure: 'use another run directory (--run) to do it again; --resume accepts what is there',
    });
  }
  throw new UserError(`${run} holds an unfinished ${stage} stage`, {
    cure: '--resume goes on with it; --run DIR starts another run',
  });
}

/** A stage that failed on its inputs left nothing to protect: with these put right it may be begun as if never before. */
function holdsWork(run: string, stage: StageName): boolean {
  return readdirSync(join(run, stage), { withFileTypes: true }).some(
    (entry) =>
      entry.name !== 'config.json' &&
      (entry.isDirectory() || statSync(join(run, stage, entry.name)).size > 0),
  );
}

function refuseOtherConfig(run: string, stage: StageName, config: Config, record: StageRecord): void {
  const now = decisiveValues(stage, config);
  if (fingerprint(now) === record.config_sha) return;
  const saved = readJson(configPath(run, stage)) as Config | undefined;
  throw new UserError(`the ${stage} stage of ${run} belongs to another config`, {
    details: saved ? listDifferences(decisiveValues(stage, saved), now) : [],
    cure: 'use that config, or another run directory (--run)',
  });
}

function configPath(run: string, stage: StageName): string {
  return join(run, stage, 'config.json');
}
