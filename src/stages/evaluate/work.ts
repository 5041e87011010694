/**
 * The evaluation: every arm of report/arms.ts on the same held-out queries, then the report. Each model gets its own pool
 * of workers, one model after the other, since one GPU may hold only one.
 */
import type { Config } from '../../config/schema.ts';
import { addCounts } from '../../counts.ts';
import { UserError } from '../../errors.ts';
import { episodeResult, type Query } from '../../protocol/methods.ts';
import { ARMS, type Arm } from '../../report/arms.ts';
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
import { Ledger, type OwedEpisode } from './ledger.ts';
import { writeReport } from './report.ts';

const MODELS = ['base', 'trained'] as const satisfies readonly Arm['model'][];
/** In progress and messages. */
const WHEN = { base: 'before training', trained: 'after training' };

export function plan(given: Config, paths: RunPaths, { test }: PlannedQueries): StagePlan {
  const config = withVllm(given);
  const { modes, model } = config.eval;
  const episodes = ARMS.length * modes.length;
  return {
    work: {
      modes: modes.join(', '),
      'queries at most': test ?? 'all in the test split',
      'episodes at most': test === null ? `${episodes} a query` : episodes * test,
    },
    processes: [planSamplers(config, config.model.name), planSamplers(config, model ?? paths.trainedModel)],
    writes: [paths.report('json'), paths.report('md'), paths.report('html')],
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
    for (const model of MODELS) await runArms(model, queries, ledger, job);
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
    const kind = evalRecord.parse(line).episode.first?.verdict.kind;
    if (kind !== undefined) addCounts(counted.kinds, { [kind]: 1 });
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
      mode: main.decoding,
      ...Object.fromEntries(main.comparisons.map(({ name, result }) => [name, counts(result)])),
      p_value: mainResult(main).p_value,
      seconds: Object.values(report.seconds).reduce((sum, seconds) => sum + seconds, 0),
      report: page,
    },
  };
}

/** An endpoint doesn't serve what was trained here, and two models are only comparable on one engine. */
function withVllm(config: Config): Config {
  return config.engine.name === 'vllm' ? config : { ...config, engine: { ...config.engine, name: 'vllm' } };
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

/** What is left of the model's arms. An arm that starts from another one's failures waits until these are known. */
async function runArms(
  model: Arm['model'],
  queries: readonly Query[],
  ledger: Ledger,
  job: StageJob,
): Promise<void> {
  const { config, paths, progress } = job;
  const left = ARMS.filter((arm) => arm.model === model);
  let pool: WorkerPool | undefined;
  try {
    while (left.length > 0) {
      const open = new Set(left.map(({ name }) => name));
      const ready = left.filter(({ failuresOf }) => failuresOf === null || !open.has(failuresOf));
      left.splice(0, left.length, ...left.filter((arm) => !ready.includes(arm)));
      const owed = ready.flatMap((arm) => ledger.owed(arm, config.eval.modes, queries));
      if (owed.length === 0) continue;
      if (!pool) {
        progress.start(`loading the model ${WHEN[model]}`, null);
        const trained = config.eval.model ?? paths.trainedModel;
        pool = await job.samplers.take(model === 'base' ? config.model.name : trained, job);
      }
      progress.start(`evaluating ${WHEN[model]}`, owed.length);
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
  { progress, signal }: StageJob,
): Promise<void> {
  let done = 0;
  await pool.forEach(
    owed,
    async ({ arm, decoding, query, failedAnswer }) => {
      const { rounds } = arm;
      const params = { query, decoding, purpose: 'eval', failed_answer: failedAnswer, rounds };
      const episode = episodeResult.parse(await pool.call('episode', params));
      ledger.append({ arm: arm.name, decoding, id: query.id, episode });
      progress.update({ done: ++done, total: owed.length });
    },
    signal,
  );
}
