/** `rrr eval --power`: how many queries an effect needs, and what the queries of a run can find. */
import type { Config } from '../config/schema.ts';
import { aggregate } from '../report/aggregate.ts';
import { powerRows, powerTable } from '../report/power.ts';
import { readManifest } from '../run/manifest.ts';
import { runPaths } from '../run/paths.ts';
import { readRun } from '../stages/evaluate/read-run.ts';
import { evaluate } from '../stages/evaluate/stage.ts';
import { planStage } from '../stages/plan.ts';
import type { Outcome } from '../terminal/context.ts';
import { alignColumns } from '../text.ts';

/** Where nothing is known of the task yet, half of the answers pass: there most queries are needed. */
const UNKNOWN = 0.5;

interface Question {
  what: string;
  n: number;
  before: number;
  discordant?: number;
}

export async function runPower(config: Config, run: string): Promise<Outcome> {
  const tables = (await ask(config, run)).map(({ what, ...seen }) => ({ what, ...powerTable(seen) }));
  const lines = tables.flatMap(({ what, ...table }) => [what, ...alignColumns(powerRows(table), '  '), '']);
  return {
    text: [
      ...lines,
      'Of one comparison alone, at p < 0.05: exact McNemar test, one try a query. discordant: queries that pass under one of the two and fail under the other.',
    ].join('\n'),
    json: { tables },
  };
}

/** The comparisons of a finished evaluation, or what is planned. */
async function ask(config: Config, run: string): Promise<Question[]> {
  const paths = runPaths(run);
  if (readManifest(paths)?.stages.eval?.status === 'finished') {
    return aggregate(await readRun(paths)).decodings.flatMap(({ decoding, comparisons }) =>
      comparisons
        .filter(({ result }) => result.n > 0)
        .map(({ label, result }) => ({
          what: `${label}, ${decoding}: of ${result.queries} queries as this run found them`,
          n: result.queries,
          before: result.before.rate,
          discordant: (result.only_before + result.only_after) / result.n,
        })),
    );
  }
  const { queries } = await planStage(evaluate, config, run);
  const n = queries.test ?? 1000;
  const what =
    queries.test === null
      ? 'Nothing is evaluated yet, and how many queries the test split has is not known: as for 1000, at the worst'
      : `Nothing is evaluated yet: of ${queries.exact ? '' : 'about '}${n} queries in the test split, at the worst`;
  return [{ what, n, before: UNKNOWN }];
}
