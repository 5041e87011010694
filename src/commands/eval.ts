/** `rrr eval`: both models on held-out queries, then the report. */
import { evaluate } from '../jobs/evaluate.ts';
import { writeReport } from '../jobs/report.ts';
import type { ModeReport, Report } from '../report/report.ts';
import type { PairedComparison } from '../report/statistics.ts';
import { renderTerminal } from '../report/terminal.ts';
import { runPaths } from '../run/paths.ts';
import type { Context, Outcome, RunOptions } from './command.ts';
import { showPath } from './command-line.ts';
import { runStage } from './run-stage.ts';

export function runEval(context: Context, options: RunOptions): Promise<Outcome> {
  return runStage('eval', context, options, async (job) => {
    await evaluate(job);
    return showReport(await writeReport(job.run), job.run, context.cwd);
  });
}

/** The report's numbers for a script, and in a few lines for people. */
export function showReport(report: Report, run: string, cwd: string): Outcome {
  const page = showPath(runPaths(run).report('html'), cwd);
  const main = report.modes.find(({ mode }) => mode === 'sampled') ?? (report.modes[0] as ModeReport);
  const counts = (compared: PairedComparison) => ({
    before: { k: compared.before.k, n: compared.before.n },
    after: { k: compared.after.k, n: compared.after.n },
  });
  return {
    text: `${renderTerminal(report)}\n\nreport: ${page}`,
    json: {
      mode: main.mode,
      first_try: counts(main.first_try),
      second_try: counts(main.second_try),
      p_value: main.second_try.p_value,
      seconds: Object.values(report.seconds).reduce((sum, seconds) => sum + seconds, 0),
      report: page,
    },
  };
}
