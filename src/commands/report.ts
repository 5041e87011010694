/** `rrr report RUN`: the report again, from the files of the run alone. */
import { resolve } from 'node:path';
import { writeReport } from '../jobs/report.ts';
import type { Context, Outcome } from './command.ts';
import { showReport } from './eval.ts';

export async function runReport(context: Context, run: string): Promise<Outcome> {
  const path = resolve(context.cwd, run);
  return showReport(await writeReport(path), path, context.cwd);
}
