/** The report of a run from the files of its run directory alone: `rrr eval` ends with it, `rrr report` makes it again. */
import type { z } from 'zod';
import { resolvedConfigSchema } from '../../config/schema.ts';
import { UserError } from '../../errors.ts';
import { prepareResult, trainEvent } from '../../protocol/methods.ts';
import { aggregate } from '../../report/aggregate.ts';
import { renderHtml } from '../../report/html.ts';
import { renderMarkdown } from '../../report/markdown.ts';
import type { Report, ReportInput } from '../../report/report.ts';
import { makeDirectory } from '../../run/directory.ts';
import { readJson, replaceFile, replaceJson } from '../../run/files.ts';
import { readLines, readQueries } from '../../run/journal.ts';
import { readManifest } from '../../run/manifest.ts';
import { type RunPaths, reportIn } from '../../run/paths.ts';
import { evalRecord, tally } from '../../run/records.ts';
import { readForgetting } from '../benchmarks/results.ts';
import { readVersions, writeCards } from '../card.ts';

/** Into the run, with the card of its model, or into another folder. Throws UserError where the run's evaluation is not complete. */
export async function writeReport(paths: RunPaths, folder = paths.stage('eval')): Promise<Report> {
  const report = aggregate(await readRun(paths));
  writeForms(folder, { json: report, md: renderMarkdown(report), html: renderHtml(report) });
  // The model of another run has its card there.
  if (folder === paths.stage('eval') && report.reward !== null) await writeCards(paths, report);
  return report;
}

/** Of one report, into a folder that is made. */
export function writeForms(
  folder: string,
  { json, md, html }: { json: unknown; md: string; html: string },
): void {
  makeDirectory(folder, 'name another folder (--out)');
  replaceJson(reportIn(folder, 'json'), json);
  replaceFile(reportIn(folder, 'md'), md);
  replaceFile(reportIn(folder, 'html'), html);
}

/** All that a report of the run follows from. Throws as `writeReport` does. */
export async function readRun(paths: RunPaths): Promise<ReportInput> {
  const manifest = readManifest(paths);
  if (manifest?.stages.eval?.status !== 'finished') {
    throw new UserError(`${paths.run} holds no finished evaluation`, { cure: 'run rrr eval first' });
  }
  const stages = Object.entries(manifest.stages);
  const config = resolvedConfigSchema.parse(readJson(paths.stageConfig('eval')));
  // Where another run's model is evaluated, the failures and the training of this run say nothing about it.
  const own = config.eval.model === undefined;
  return {
    rrr: manifest.rrr_version,
    versions: await readVersions(paths),
    hub: manifest.hub ?? {},
    seconds: Object.fromEntries(stages.map(([stage, record]) => [stage, record.seconds])),
    config,
    trainedModel: config.eval.model ?? paths.trainedModel,
    data: prepareResult.parse(readJson(paths.dataSummary)),
    tallies: own ? await readAll(paths.tallies, tally) : [],
    events: own ? await readAll(paths.trainEvents, trainEvent) : [],
    queries: await collect(readQueries(paths.testQueries)),
    records: await readAll(paths.evalJournal, evalRecord),
    forgetting: manifest.stages.benchmarks?.status === 'finished' ? await readForgetting(paths) : [],
  };
}

async function readAll<T>(path: string, schema: z.ZodType<T>): Promise<T[]> {
  return (await collect(readLines(path))).map((line) => schema.parse(line));
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
