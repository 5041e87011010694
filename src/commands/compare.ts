/** `rrr compare RUN RUN...`: several finished evaluations, joined where only their seed differs, else side by side. */
import { UserError } from '../errors.ts';
import { renderDocumentMarkdown } from '../report/markdown.ts';
import { describeRuns } from '../report/several/document.ts';
import { renderDocumentHtml } from '../report/several/html.ts';
import { aggregateRuns, type EvaluatedRun } from '../report/several/runs.ts';
import { readJson } from '../run/files.ts';
import { type FlatValues, fingerprint } from '../run/fingerprint.ts';
import { reportIn, runPaths } from '../run/paths.ts';
import { readRun } from '../stages/evaluate/read-run.ts';
import { writeForms } from '../stages/evaluate/report.ts';
import { evaluate } from '../stages/evaluate/stage.ts';
import { showPath } from '../terminal/command-line.ts';
import type { Context, Outcome } from '../terminal/context.ts';
import { alignColumns } from '../text.ts';
import { resolveUserPath } from '../user-path.ts';

export interface CompareOptions {
  /** Where the report goes; without it, it is only shown. */
  out?: string;
}

export async function runCompare(
  context: Context,
  runs: readonly string[],
  { out }: CompareOptions,
): Promise<Outcome> {
  const folders = runs.map((run) => resolveUserPath(context.cwd, run));
  const twice = folders.find((folder, index) => folders.indexOf(folder) !== index);
  if (twice !== undefined) throw new UserError(`${twice} is named twice`, { cure: 'name each run once' });
  const report = aggregateRuns(await Promise.all(folders.map((folder) => read(folder, context))));
  const document = describeRuns(report);
  const lines = [
    ...document.sentences,
    ...document.tables.flatMap(({ title, table }) => ['', title, ...alignColumns(table, '  ')]),
  ];
  if (out !== undefined) {
    const folder = resolveUserPath(context.cwd, out);
    const [md, html] = [renderDocumentMarkdown(document), renderDocumentHtml(document)];
    writeForms(folder, { json: report, md, html });
    lines.push('', `report: ${showPath(reportIn(folder, 'html'), context.cwd)}`);
  }
  return { text: lines.join('\n'), json: { ...report, sentences: document.sentences } };
}

async function read(folder: string, context: Context): Promise<EvaluatedRun> {
  const paths = runPaths(folder);
  const input = await readRun(paths);
  const { seed, ...decides } = readJson(paths.stageDecides(evaluate.name)) as FlatValues;
  return { name: showPath(folder, context.cwd), group: fingerprint(decides), input };
}
