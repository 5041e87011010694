/** `rrr build-failures`: the data set of failures. */
import { buildFailures } from '../jobs/build-failures.ts';
import { percent } from '../report/format.ts';
import { runPaths } from '../run/paths.ts';
import type { Context, Outcome, RunOptions } from './command.ts';
import { nextLine, showPath } from './command-line.ts';
import { runStage } from './run-stage.ts';

export function runBuildFailures(context: Context, options: RunOptions): Promise<Outcome> {
  return runStage('build-failures', context, options, async (job) => {
    const summary = await buildFailures(job);
    const { queries, kept, failures, too_long, draws, pass_rate, kinds } = summary;
    const failed = draws - (kinds.passed ?? 0);
    const path = showPath(runPaths(job.run).failures, context.cwd);
    const share = (count: number, of: number) =>
      `${count} of ${of} (${percent(of === 0 ? 0 : count / of)} %)`;
    const width = Math.max(...Object.keys(kinds).map((kind) => kind.length));
    const text = [
      `queries kept as failures  ${share(kept, queries)}`,
      ...(too_long > 0
        ? [`queries left out          ${share(too_long, queries)}: too long for model.max_model_len`]
        : []),
      `draws that failed         ${share(failed, draws)}`,
      ...(pass_rate === null ? [] : [`pass rate of one draw     ${percent(pass_rate)} %, unbiased`]),
      ...Object.entries(kinds).map(([kind, count]) => `  ${kind.padEnd(width)}  ${count}`),
      `${failures} failures: ${path}`,
      `next: ${nextLine(context, 'train')}`,
    ].join('\n');
    return { text, json: { ...summary, path } };
  });
}
