/** `rrr report RUN`: the report again, from the files of the run alone, also while its evaluation goes on. */
import { type ReportFormat, reportIn } from '../run/paths.ts';
import { writeReport } from '../stages/evaluate/report.ts';
import { evaluate } from '../stages/evaluate/stage.ts';
import type { Context, Outcome } from '../terminal/context.ts';
import { resolveUserPath } from '../user-path.ts';
import { viewFrom } from './stage.ts';

export interface ReportOptions {
  /** Where the report goes. Default: into the run. */
  out?: string;
  /** No queries and no completions. */
  withoutSamples?: boolean;
}

export async function runReport(
  context: Context,
  run: string,
  { out, withoutSamples = false }: ReportOptions,
): Promise<Outcome> {
  const view = viewFrom(context, resolveUserPath(context.cwd, run));
  const folder = out === undefined ? view.paths.stage(evaluate.name) : resolveUserPath(context.cwd, out);
  const report = await writeReport(view.paths, { folder, samples: !withoutSamples, unfinished: true });
  const { show } = await evaluate.load();
  const paths = { ...view.paths, report: (format: ReportFormat) => reportIn(folder, format) };
  return show(report, { ...view, paths });
}
