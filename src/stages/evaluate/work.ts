/**
 * The evaluation: every arm of report/arms.ts on the same held-out queries, then the report. Each model gets its own pool
 * of workers, one model after the other, since one GPU may hold only one.
 */
import type { Config } from '../../config/schema.ts';
import { addCounts } from '../../counts.ts';
import { UserError } from '../../errors.ts';
import { episodeResult, type Query } from '../../protocol/methods.ts';
import { type Arm, armsOf, modesOf, needsOf } from '../../report/arms.ts';
import type { DecodingReport, Report } from '../../report/report.ts';
import type { PairedComparison } from '../../report/statistics.ts';
import { renderTerminal } from '../../report/terminal.ts';
import { mainResult } from '../../report/verdict.ts';
import { readLines, readQueries } from '../../run/journal.ts';
import type { RunPaths } from '../../run/paths.ts';
import { evalRecord } from '../../run/records.ts';
import type { WorkerPool } from '../../workers/pool.ts';
import { prepareData } from '../prepare.ts';
import { planSamplers } from '../samplers.ts';
import type { Counted, PlannedQueries, StageJob, StagePlan, View } from '../stage.ts';
import { type EvaluatedModel, modelsOf, paramsOf, withVllm } from './episodes.ts';
import { Ledger, type OwedEpisode } from './ledger.ts';
import { writeReport } from './report.ts';

export function plan(given: Config, paths: RunPaths, { test }: PlannedQueries): StagePlan {
  const config = withVllm(given);
  const arms = armsOf(config.eval);
  const episodes = arms.length * modesOf(config.eval).reduce((sum, { samples }) => sum + samples, 0);
  return {
    work: {
      modes: config.eval.modes.join(', '),
      arms: arms.map(({ name }) => name).join(', '),
      'queries at most': test ?? 'all in the test split',
      'episodes at most': test === null ? `${episodes} a query` : episodes * test,
    },
    processes: modelsOf(config, paths).map(({ model, config: own }) => planSamplers(own, model)),
    writes: [
      ...(['json', 'md', 'html'] as const).map(paths.report),
      ...(['csv', 'parquet'] as const).map(paths.samples),
    ],
  };
}

export async function run(given: StageJob): Promise<void> {
  const config = withVllm(given.config);
  const job = { ...given, config };
  const { paths } = job;
  if (config !== given.config)
    job.progress.note('both models are evaluated with vLLM: the endpoint does not serve the trained one');
  if (config.eval.model !== undefined) await prepareData(job);
  const queries = await testQueries(paths.testQueries);
  const ledger = await Ledger.open(paths.evalJournal);
  try {
    for (const { model, arms } of inTurns(armsOf(config.eval)))
      await runArms(model, arms, queries, ledger, job);
  } finally {
    ledger.close();
  }
}

/** Counted from the records, so that the report is never older than they are. */
export function readSummary(paths: RunPaths): Promise<Report> {
  return writeReport(paths);
}

export async function count({ evalJournal }: RunPaths): Promise<Counted> {
  const counted: Counted = { done: 0, total: null, kinds: {}, kinds_of: 'first tries' };
  for await (const line of readLines(evalJournal)) {
    counted.done++;
    const { arm, episode } = evalRecord.parse(line);
    if (episode.first) addCounts(counted.kinds, { [`${arm} ${episode.first.verdict.kind}`]: 1 });
  }
  return counted;
}

/** The report's numbers for a script, and in a few lines for people. */
export function show(report: Report, view: View) {
  const page = view.path(view.paths.report('html'));
  const main =
    report.decodings.find(({ decoding }) => decoding === 'sampled') ??
    (report.decodings[0] as DecodingReport);
  const counts = ({ before, after }: PairedComparison) => ({
    before: { k: before.k, n: before.n },
    after: { k: after.k, n: after.n },
  });
  return {
    text: `${renderTerminal(report)}\n\nreport: ${page}`,
    json: {
      ...(report.progress && { unfinished: report.progress }),
      mode: main.decoding,
      ...Object.fromEntries(main.comparisons.map(({ name, result }) => [name, counts(result)])),
      p_value: mainResult(main).p_value,
      seconds: Object.values(report.seconds).reduce((sum, seconds) => sum + seconds, 0),
      report: page,
      comparisons: report.decodings.flatMap(({ decoding, comparisons, controls, baselines }) =>
        [...comparisons, ...controls.flatMap(({ gain, own }) => [gain, own]), ...baselines].map(
          ({ name, before, after, result, adjusted_p }) => ({
            decoding,
            name,
            arms: { before, after },
            n: result.n,
            ...counts(result),
            difference: result.difference,
            interval: result.interval,
            p_value: result.p_value,
            holm_p: adjusted_p,
          }),
        ),
      ),
    },
  };
}

async function testQueries(path: string): Promise<Query[]> {
  const queries: Query[] = [];
  for await (const query of readQueries(path)) queries.push(query);
  if (queries.length === 0) {
    throw new UserError(`the test split is empty: ${path} holds no query`, {
      cure: 'start another run (--run) with a higher data.test_fraction, or with more rows',
    });
  }
  return queries;
}

/** The arms by model, each after those that it needs; the models change as seldom as that allows. */
function inTurns(arms: readonly Arm[]): { model: string; arms: Arm[] }[] {
  const turns: { model: string; arms: Arm[] }[] = [];
  let left = arms;
  while (left.length > 0) {
    const model = (left[0] as Arm).model;
    const turn: Arm[] = [];
    for (const arm of left) {
      const missing = left.filter(
        ({ name }) => needsOf(arm).includes(name) && !turn.some((t) => t.name === name),
      );
      if (arm.model === model && missing.length === 0) turn.push(arm);
    }
    left = left.filter((arm) => !turn.includes(arm));
    turns.push({ model, arms: turn });
  }
  return turns;
}

/** What is left of some arms of one model, each after those that it needs. */
async function runArms(
  key: string,
  arms: readonly Arm[],
  queries: readonly Query[],
  ledger: Ledger,
  job: StageJob,
): Promise<void> {
  const { config, paths, progress } = job;
  const found = modelsOf(config, paths).find((each) => each.key === key) as EvaluatedModel;
  let left = arms;
  let pool: WorkerPool | undefined;
  try {
    while (left.length > 0) {
      const open = left.map(({ name }) => name);
      const ready = left.filter((arm) => !needsOf(arm).some((name) => open.includes(name)));
      left = left.filter((arm) => !ready.includes(arm));
      const owed = ready.flatMap((arm) => ledger.owed(arm, modesOf(config.eval), queries));
      if (owed.length === 0) continue;
      if (!pool) {
        progress.start(`loading the model ${found.label}`, null);
        pool = await job.samplers.take(found.model, { ...job, config: found.config });
      }
      progress.start(`evaluating ${found.label}`, owed.length);
      await runEpisodes(owed, pool, ledger, job);
    }
  } finally {
    progress.finish();
  }
}

async function runEpisodes(
  owed: readonly OwedEpisode[],
  pool: WorkerPool,
  ledger: Ledger,
  { config, progress, signal }: StageJob,
): Promise<void> {
  let done = 0;
  await pool.forEach(
    owed,
    async (episode) => {
      const { arm, decoding, sample, query } = episode;
      const result = episodeResult.parse(await pool.call('episode', paramsOf(episode, config)));
      ledger.append({ arm: arm.name, decoding, sample, id: query.id, episode: result });
      progress.update({ done: ++done, total: owed.length });
    },
    signal,
  );
}
