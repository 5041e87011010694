/**
 * The data set of failures: every training query is sampled until it fails often enough or has had its draws.
 *
 *   prepare the data -> one `sample_failures` call for each query, its result journalled as it arrives
 *                    -> failures.jsonl, tallies.jsonl
 *
 * Seeds depend on query and draw alone, and the files are written in the order of the data, so they are the same for any
 * number of workers and after any interruption.
 */
import { z } from 'zod';
import type { Config } from '../../config/schema.ts';
import { addCounts } from '../../counts.ts';
import { RunError, UserError } from '../../errors.ts';
import {
  type FailuresResult,
  failuresResult,
  type PrepareResult,
  type Query,
} from '../../protocol/methods.ts';
import { percent } from '../../report/format.ts';
import { readJson, readRecord, replaceJson, replaceLines } from '../../run/files.ts';
import { readLines, readQueries } from '../../run/journal.ts';
import type { RunPaths } from '../../run/paths.ts';
import { type FailureRow, type FailuresSummary, failuresSummary, type Tally } from '../../run/records.ts';
import { alignColumns } from '../../text.ts';
import { FailedCallError } from '../../workers/errors.ts';
import { prepareData, preparePlan } from '../prepare.ts';
import { planSamplers } from '../samplers.ts';
import type { Counted, PlannedQueries, StageJob, StagePlan, View } from '../stage.ts';
import { estimatePassRate } from './pass-rate.ts';
import { FailureResults } from './results.ts';

/** When more queries than this can't be answered, the queries are not the cause. */
const MAX_FAILED_QUERIES = 10;

export function plan(config: Config, paths: RunPaths, { train }: PlannedQueries): StagePlan {
  const { max_draws } = config.failures;
  return {
    work: {
      'queries at most': train ?? 'all in the data',
      'draws at most': train === null ? `${max_draws} a query` : train * max_draws,
    },
    processes: [preparePlan, planSamplers(config, config.model.name)],
    writes: [paths.data, paths.failures],
  };
}

export async function run(job: StageJob): Promise<void> {
  const { config, paths } = job;
  const data = await prepareData(job);
  const results = await FailureResults.open(paths.failuresJournal);
  try {
    const { sums } = results;
    if (sums.queries < data.train) await sampleAll(results, data, job);
    await replaceLines(paths.failures, failureRows(results, paths));
    const rates = new Mean();
    await replaceLines(paths.tallies, tallyRows(results, paths, config, rates));
    if (sums.queries > 0 && sums.too_long === sums.queries) {
      throw new UserError(`no query fits model.max_model_len ${config.model.max_model_len}`, {
        cure: 'raise it, or lower sampling.max_answer_tokens, in another run directory',
      });
    }
    const kinds = Object.entries(sums.kinds).sort(([a], [b]) => (a < b ? -1 : 1));
    const summary: FailuresSummary = {
      ...sums,
      pass_rate: rates.value,
      kinds: Object.fromEntries(kinds),
    };
    replaceJson(paths.failuresSummary, summary);
  } finally {
    results.close();
  }
}

export async function readSummary(paths: RunPaths): Promise<FailuresSummary> {
  return readRecord(paths.failuresSummary, failuresSummary);
}

// Only what is counted: there may be millions of them.
const countedRecord = z.object({ result: failuresResult.pick({ kinds: true }) });

export async function count({ failuresJournal, dataSummary }: RunPaths): Promise<Counted> {
  const total = (readJson(dataSummary) as PrepareResult | undefined)?.train ?? null;
  const counted: Counted = { done: 0, total, kinds: {} };
  for await (const line of readLines(failuresJournal)) {
    counted.done++;
    addCounts(counted.kinds, countedRecord.parse(line).result.kinds);
  }
  return counted;
}

export function show(summary: FailuresSummary, view: View) {
  const { queries, kept, failures, too_long, refused, draws, pass_rate, kinds } = summary;
  const path = view.path(view.paths.failures);
  const failed = draws - (kinds.passed ?? 0);
  const share = (count: number, of: number) => `${count} of ${of} (${percent(of === 0 ? 0 : count / of)} %)`;
  const lines = [
    ...alignColumns([
      ['queries kept as failures', share(kept, queries)],
      ...(too_long > 0
        ? [['queries left out', `${share(too_long, queries)}: too long for model.max_model_len`]]
        : []),
      ...(refused > 0 ? [['queries left out', `${share(refused, queries)}: refused by the endpoint`]] : []),
      ['draws that failed', share(failed, draws)],
      ...(pass_rate === null ? [] : [['pass rate of one draw', `${percent(pass_rate)} %, unbiased`]]),
    ]),
    ...alignColumns(
      Object.entries(kinds).map(([kind, count]) => [kind, `${count}`]),
      '  ',
    ),
    `${failures} failures: ${path}`,
    `next: ${view.next('train')}`,
  ];
  return { text: lines.join('\n'), json: { ...summary, path } };
}

async function sampleAll(results: FailureResults, data: PrepareResult, job: StageJob): Promise<void> {
  const { config, paths, progress, signal } = job;
  const failedCalls: FailedCallError[] = [];
  progress.start('loading the model', null);
  const pool = await job.samplers.take(config.model.name, job);
  try {
    progress.start('sampling', data.train, results.sums.queries);
    await pool.forEach(
      owedQueries(results, paths),
      async (query) => {
        try {
          const result = failuresResult.parse(
            await pool.call('sample_failures', { query, ...config.failures }),
          );
          refuseIfAllAre(results, query, result);
          results.add(query, result);
          if (result.left_out?.kind === 'refused')
            progress.note(`query ${query.id} is left out: ${result.left_out.message}`);
        } catch (error) {
          if (!(error instanceof FailedCallError) || failedCalls.length === MAX_FAILED_QUERIES) throw error;
          progress.note(`query ${query.id}: ${error.message}`);
          failedCalls.push(error);
        }
        const { queries, kept, draws } = results.sums;
        progress.update({ done: queries, total: data.train, counters: { kept, draws } });
      },
      signal,
    );
  } finally {
    progress.finish();
  }
  const [failed] = failedCalls;
  if (failed) {
    throw new RunError(`${failedCalls.length} of the queries can't be sampled; all others are done`, {
      details: [failed.message, ...(failed.details ?? [])],
      cure: '--resume tries them again',
    });
  }
}

/** An endpoint that refuses query after query won't answer the next one: throws before more of them are left out. */
function refuseIfAllAre({ sums }: FailureResults, { id }: Query, { left_out }: FailuresResult): void {
  if (left_out?.kind !== 'refused' || sums.refused < sums.queries || sums.refused < MAX_FAILED_QUERIES)
    return;
  throw new UserError(`every query so far was refused, at last query ${id}: ${left_out.message}`, {
    cure: 'put the endpoint right, then go on with --resume',
  });
}

async function* owedQueries(results: FailureResults, paths: RunPaths): AsyncGenerator<Query> {
  for await (const read of readQueries(paths.trainQueries)) if (!results.has(read)) yield read;
}

/** In the order of the data. */
async function* failureRows(results: FailureResults, paths: RunPaths): AsyncGenerator<FailureRow> {
  for await (const read of readQueries(paths.trainQueries)) {
    const { id, index, fields } = read;
    for (const { draw, completion, verdict, tokens, finish_reason } of results.resultOf(read).failures) {
      const { kind, detail } = verdict;
      yield { id, index, query: fields, draw, completion, kind, detail, tokens, finish_reason };
    }
  }
}

/** In the order of the data. Every pass rate is added to `rates`. */
async function* tallyRows(
  results: FailureResults,
  paths: RunPaths,
  config: Config,
  rates: Mean,
): AsyncGenerator<Tally> {
  for await (const read of readQueries(paths.trainQueries)) {
    const { id, index } = read;
    const result = results.resultOf(read);
    const { draws, kinds, prompt_tokens, completion_tokens, failures } = result;
    const pass_rate = estimatePassRate(result, config.failures);
    if (pass_rate !== null) rates.add(pass_rate);
    const passed = kinds.passed ?? 0;
    const kept = failures.length > 0;
    yield { id, index, draws, passed, pass_rate, kinds, prompt_tokens, completion_tokens, kept };
  }
}

class Mean {
  #sum = 0;
  #count = 0;

  add(value: number): void {
    this.#sum += value;
    this.#count += 1;
  }

  /** Null without a value. */
  get value(): number | null {
    return this.#count === 0 ? null : this.#sum / this.#count;
  }
}
