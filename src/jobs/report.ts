/** The report of a run from the files of its run directory alone: `rrr eval` ends with it, `rrr report` makes it again. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type Config, configSchema } from '../config/schema.ts';
import { UserError } from '../errors.ts';
import { prepareResult, query, trainEvent } from '../protocol/methods.ts';
import { aggregate } from '../report/aggregate.ts';
import { renderHtml } from '../report/html.ts';
import { renderMarkdown } from '../report/markdown.ts';
import type { Report, ReportInput, Tally } from '../report/report.ts';
import { readJson, replaceFile, replaceJson } from '../run/files.ts';
import { readLines } from '../run/journal.ts';
import { readManifest } from '../run/manifest.ts';
import { type RunPaths, runPaths } from '../run/paths.ts';
import { evalRecord } from './evaluate.ts';

const count = z.int().nonnegative();
const tally = z.object({
  draws: count,
  passed: count,
  pass_rate: z.number().nullable().default(null),
  kinds: z.record(z.string(), count),
  kept: z.boolean(),
}) satisfies z.ZodType<Tally>;

export async function writeReport(run: string): Promise<Report> {
  const paths = runPaths(run);
  const report = aggregate(await readRun(paths));
  replaceJson(paths.report('json'), report);
  replaceFile(paths.report('md'), renderMarkdown(report));
  replaceFile(paths.report('html'), renderHtml(report));
  return report;
}

async function readRun(paths: RunPaths): Promise<ReportInput> {
  const manifest = readManifest(paths);
  if (manifest?.stages.eval?.status !== 'finished') {
    throw new UserError(`${paths.run} holds no finished evaluation`, { cure: 'run rrr eval first' });
  }
  const stages = Object.entries(manifest.stages);
  const config = configSchema.parse(readJson(join(paths.evalDir, 'config.json'))) as Config;
  // What this run may have trained besides is no news of another run's model.
  const own = config.eval.model === undefined;
  return {
    rrr: manifest.rrr_version,
    versions: await readVersions(paths.log),
    seconds: Object.fromEntries(stages.map(([stage, record]) => [stage, record?.seconds ?? 0])),
    config,
    model: config.eval.model ?? paths.trainedModel,
    data: prepareResult.parse(readJson(paths.dataSummary)),
    tallies: own ? await readAll(paths.tallies, tally) : [],
    events: own ? await readAll(paths.trainEvents, trainEvent) : [],
    queries: await readAll(paths.testQueries, query),
    records: await readAll(paths.evalJournal, evalRecord),
  };
}

async function readAll<T>(path: string, schema: z.ZodType<T>): Promise<T[]> {
  const rows: T[] = [];
  for await (const line of readLines(path)) rows.push(schema.parse(line));
  return rows;
}

/** What the workers said of themselves when they started, from the run's log. */
async function readVersions(path: string): Promise<Record<string, string>> {
  const versions: Record<string, string> = {};
  if (!existsSync(path)) return versions;
  const greeting = z.object({ versions: z.record(z.string(), z.string()) });
  for await (const line of readLines(path)) Object.assign(versions, greeting.safeParse(line).data?.versions);
  return versions;
}
