/** The report of a run from the files of its run directory alone: `rrr eval` ends with it, `rrr report` makes it again. */
import { rmSync } from 'node:fs';
import { aggregate, allCases, withoutSamples } from '../../report/aggregate.ts';
import type { Case } from '../../report/cases.ts';
import { renderHtml } from '../../report/html.ts';
import { renderMarkdown } from '../../report/markdown.ts';
import type { Report } from '../../report/report.ts';
import { embedSamples } from '../../report/samples/embed.ts';
import { csvLines, parquet } from '../../report/samples/files.ts';
import { rowsOf } from '../../report/samples/rows.ts';
import { makeDirectory } from '../../run/directory.ts';
import { replaceFile, replaceJson, replaceTexts } from '../../run/files.ts';
import { type RunPaths, reportIn, samplesIn } from '../../run/paths.ts';
import { writeCards } from '../card.ts';
import { readRun } from './read-run.ts';

export interface ReportRequest {
  /** Where it goes. Default: into the run. */
  folder?: string;
  /** Whether it may hold queries and completions. Default: it does. */
  samples?: boolean;
  /** Whether the evaluation may still go on. */
  unfinished?: boolean;
}

/**
 * Into the run, with the card of its model, or into another folder. Throws UserError where the run's evaluation is not complete and may not be
 * unfinished either.
 */
export async function writeReport(
  paths: RunPaths,
  { folder = paths.stage('eval'), samples = true, unfinished = false }: ReportRequest = {},
): Promise<Report> {
  const input = await readRun(paths, { unfinished });
  const cases = allCases(input);
  const counted = aggregate(input, cases);
  const report = samples ? counted : withoutSamples(counted);
  const embedded = samples ? embedSamples(cases.flat(), input) : null;
  writeForms(folder, { json: report, md: renderMarkdown(report), html: renderHtml(report, embedded) });
  if (samples) await writeSamples(folder, cases.flat());
  // Those of an earlier report, which had them.
  else for (const format of ['csv', 'parquet'] as const) rmSync(samplesIn(folder, format), { force: true });
  // The model of another run has its card there.
  if (folder === paths.stage('eval') && report.reward !== null && report.progress === null)
    await writeCards(paths, report);
  return report;
}

async function writeSamples(folder: string, cases: readonly Case[]): Promise<void> {
  await replaceTexts(samplesIn(folder, 'csv'), csvLines(rowsOf(cases)));
  replaceFile(samplesIn(folder, 'parquet'), parquet(rowsOf(cases)));
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
