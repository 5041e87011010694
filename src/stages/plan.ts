/** What a command is about to do, as data: shown by --dry-run before anything heavy starts. */
import { createReadStream, existsSync } from 'node:fs';
import { createGunzip } from 'node:zlib';
import type { Config } from '../config/schema.ts';
import { UserError } from '../errors.ts';
import { BadLine, LineDecoder } from '../protocol/jsonl.ts';
import { prepareResult } from '../protocol/methods.ts';
import { describeEarlier, requireFinished } from '../run/attempt.ts';
import { readRecord } from '../run/files.ts';
import { readManifest } from '../run/manifest.ts';
import { type RunPaths, runPaths } from '../run/paths.ts';
import type { PlannedQueries, Stage, StagePlan } from './stage.ts';
import { findStage } from './table.ts';

export interface Plan extends StagePlan {
  command: string;
  run: string;
  model: string;
  task: string;
  seed: number;
  data: string;
  queries: PlannedQueries;
  /** What an earlier attempt at the stage left, and what that means for this one: lines, none where there was no earlier one. */
  earlier: string[];
  /** What must be there first and isn't, with the command that makes it. */
  missing: string[];
}

/** `before`: stages that the same command does first. */
export async function planStage(
  stage: Stage,
  config: Config,
  run: string,
  before: readonly string[] = [],
): Promise<Plan> {
  const paths = runPaths(run);
  const queries = await countQueries(config, paths);
  const { plan } = await stage.load();
  return {
    command: stage.command,
    run,
    model: config.model.name,
    task: config.task.name,
    seed: config.seed,
    data: describeData(config),
    queries,
    ...plan(config, paths, queries),
    earlier: describeEarlier(run, stage, config),
    missing: stage
      .needs(config)
      .filter((name) => !before.includes(name))
      .flatMap((name) => describeMissing(paths, findStage(name), config)),
  };
}

function describeMissing(paths: RunPaths, stage: Stage, config: Config): string[] {
  try {
    requireFinished(paths.run, stage, config);
    return [];
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const finished = readManifest(paths)?.stages[stage.name]?.status === 'finished';
    const why = finished ? 'belongs to another config' : `run rrr ${stage.command} first`;
    return [`${paths.stage(stage.name)}: ${why}`];
  }
}

function describeData({ data }: Config): string {
  if (data.source === 'generator') return `generator, ${data.rows} rows`;
  const from = data.source === 'hub' ? `${data.dataset}, split ${data.hub_split}` : `${data.path}`;
  return `${data.source}, ${from}${data.rows === undefined ? '' : `, the first ${data.rows} rows`}`;
}

async function countQueries({ data }: Config, { dataSummary }: RunPaths): Promise<PlannedQueries> {
  if (existsSync(dataSummary)) {
    const { train, test } = readRecord(dataSummary, prepareResult);
    return { train, test, exact: true };
  }
  const lines = data.source === 'jsonl' && data.path !== undefined ? await countLines(data.path) : Infinity;
  const rows = Math.min(lines, data.rows ?? Infinity);
  const share = (fraction: number, limit = Infinity) => {
    const count = Math.min(Math.round(rows * fraction), limit);
    return Number.isFinite(count) ? count : null;
  };
  return {
    train: share(data.train_fraction, data.train_rows),
    test: share(data.test_fraction, data.test_rows),
    exact: false,
  };
}

/** Infinity where only Python can tell, which also knows what is wrong. */
async function countLines(path: string): Promise<number> {
  const decoder = new LineDecoder({ invalid: 'replace' });
  const file = createReadStream(path);
  let count = 0;
  const tally = (line: string) => {
    if (line.trim() !== '') count++;
  };
  try {
    for await (const chunk of path.endsWith('.gz') ? file.pipe(createGunzip()) : file)
      for (const line of decoder.push(chunk)) tally(line);
  } catch (error) {
    if (error instanceof BadLine || path.endsWith('.gz')) return Infinity;
    throw error;
  }
  tally(decoder.rest);
  return count;
}
