/**
 * What a stage is: one entry of the table (table.ts), from which the command line, the plan, the manifest, the resume line
 * and `rrr status` follow. Its code is loaded only when it is needed, so that `rrr --help` stays instant.
 */
import type { Logger } from 'pino';
import type { Config } from '../config/schema.ts';
import type { Launcher } from '../launch/launcher.ts';
import type { StageIdentity } from '../run/attempt.ts';
import type { RunPaths } from '../run/paths.ts';
import type { Progress } from '../run/progress.ts';
import type { WorkerPool } from '../workers/pool.ts';
import type { WorkerContext } from '../workers/worker.ts';

export interface Stage<Summary = unknown> extends StageIdentity {
  /** For --help. */
  description: string;
  /** What `Counted.done` counts, such as "queries". */
  unit: string;
  /** Options of its command beyond those of every stage: flag, as commander writes it, and what it is for. */
  flags?: readonly (readonly [flag: string, description: string])[];
  /** Names of the stages that must be finished first. */
  needs(config: Config): readonly string[];
  /** Python packages beyond those of a light set-up that its workers need. */
  packages?(config: Config): readonly string[];
  /** GPUs that it computes on itself, where no sampling worker of an earlier stage may be left. */
  gpus?(config: Config): readonly string[] | 'all';
  /** What it takes from the hub, where the config names something there. */
  hub?(config: Config): readonly HubPart[];
  load(): Promise<StageWork<Summary>>;
}

/** Of a config: models that are trained and evaluated, the task's data, general benchmarks. */
export type HubPart = 'models' | 'data' | 'benchmarks';

/** The code of a stage: a module with these exports. */
export interface StageWork<Summary = unknown> {
  /** What it is about to do. `missing` is filled in from what the stage needs. */
  plan(config: Config, paths: RunPaths, queries: PlannedQueries): StagePlan;
  /** How far it is, from the files of the run alone. */
  count(paths: RunPaths): Promise<Counted>;
  /** Does the work, or what is left of it. Throws the reason of `job.signal` when that aborts. */
  run(job: StageJob): Promise<void>;
  /** The result of a finished stage, from the files of the run. */
  readSummary(paths: RunPaths): Promise<Summary>;
  /** The summary for people and as one JSON object. */
  show(summary: Summary, view: View): { text: string; json: unknown };
}

/** What the work of a stage is given. */
export interface StageJob extends WorkerContext {
  config: Config;
  paths: RunPaths;
  /** An earlier attempt may have left work. */
  resumed: boolean;
  /** Values of the stage's own `flags`, by commander's names. */
  options: Readonly<Record<string, unknown>>;
  /** Its abort asks for an end in good order. */
  signal: AbortSignal;
  progress: Progress;
  log: Logger;
  launcher: Launcher;
  samplers: Samplers;
}

/** Where a stage gets its sampling workers. It doesn't stop them. */
export interface Samplers {
  /**
   * A started pool of sampling workers that hold `model`; the one that was taken before may be used no more. Throws the
   * signal's reason when that aborts.
   */
  take(model: string, job: StageJob): Promise<WorkerPool>;
}

/** Queries of the two splits. About right until the data is prepared; null when only reading would tell. */
export interface PlannedQueries {
  train: number | null;
  test: number | null;
  exact: boolean;
}

export interface StagePlan {
  /** Upper limits of the work, by name. */
  work: Record<string, number | string>;
  /** In the order they start. */
  processes: { role: string; count: number; what: string }[];
  writes: string[];
}

export interface Counted {
  /** Units that are on disk. */
  done: number;
  /** Null where it depends on what is still to come. */
  total: number | null;
  /** How what was counted ended: "passed" or the kind of failure. Empty where the stage has none. */
  kinds: Record<string, number>;
  /** What `kinds` are of, such as "first tries"; empty where that is clear. */
  kinds_of?: string;
}

/** How paths and command lines look to who called. */
export interface View {
  paths: RunPaths;
  /** A path as short as it is clear. */
  path(path: string): string;
  /** The same config and run with another command. */
  next(command: string): string;
}
