/** `rrr report RUN`: the report again, from the files of the run alone. */
import { evaluate } from '../stages/evaluate/stage.ts';
import type { Context, Outcome } from '../terminal/context.ts';
import { resolveUserPath } from '../user-path.ts';
import { viewFrom } from './stage.ts';

export async function runReport(context: Context, run: string): Promise<Outcome> {
  const view = viewFrom(context, resolveUserPath(context.cwd, run));
  const { readSummary, show } = await evaluate.load();
  return show(await readSummary(view.paths), view);
}
