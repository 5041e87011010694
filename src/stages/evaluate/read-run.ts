/** A run's files as what its report follows from. */
import { resolvedConfigSchema } from '../../config/schema.ts';
import { UserError } from '../../errors.ts';
import { prepareResult, type Query, trainEvent } from '../../protocol/methods.ts';
import type { ReportInput } from '../../report/report.ts';
import { readJson } from '../../run/files.ts';
import { readQueries, readRecords } from '../../run/journal.ts';
import { readManifest } from '../../run/manifest.ts';
import type { RunPaths } from '../../run/paths.ts';
import { evalRecord, type StageRecord, tally, workerEvent } from '../../run/records.ts';
import { readForgetting } from '../benchmarks/results.ts';
import { versionsOf } from '../card.ts';
import { describeOrigin } from './origin.ts';

/**
 * All that a report of the run follows from. Throws UserError where the run's evaluation is not complete; `unfinished`: only
 * where it hasn't begun.
 */
export async function readRun(paths: RunPaths, { unfinished = false } = {}): Promise<ReportInput> {
  const manifest = readManifest(paths);
  const evaluation = manifest?.stages.eval;
  const data = readJson(paths.dataSummary);
  if (!manifest || !evaluation || data === undefined || !(unfinished || evaluation.status === 'finished'))
    throw new UserError(`${paths.run} holds no ${unfinished ? '' : 'finished '}evaluation`, {
      cure: 'run rrr eval first',
    });
  const stages = Object.entries(manifest.stages);
  const config = resolvedConfigSchema.parse(readJson(paths.stageConfig('eval')));
  // Where another run's model is evaluated, the failures and the training of this run say nothing about it.
  const own = config.eval.model === undefined;
  const workers = await readRecords(paths.workerEvents, workerEvent);
  return {
    rrr: manifest.rrr_version,
    versions: versionsOf(workers),
    hub: manifest.hub ?? {},
    seconds: Object.fromEntries(stages.map(([stage, record]) => [stage, record.seconds])),
    config,
    trainedModel: config.eval.model ?? paths.trainedModel,
    data: prepareResult.parse(data),
    tallies: own ? await readRecords(paths.tallies, tally) : [],
    events: own ? await readRecords(paths.trainEvents, trainEvent) : [],
    queries: await readAllQueries(paths.testQueries),
    records: await readRecords(paths.evalJournal, evalRecord),
    unfinished: evaluation.status !== 'finished',
    origin: describeOrigin(paths, manifest, config, workers),
    forgetting: isFinished(manifest.stages.benchmarks) ? await readForgetting(paths) : [],
  };
}

const isFinished = (stage: StageRecord | undefined) => stage?.status === 'finished';

async function readAllQueries(path: string): Promise<Query[]> {
  const queries: Query[] = [];
  for await (const query of readQueries(path)) queries.push(query);
  return queries;
}
