/**
 * The data set of failures: every training query is sampled until it fails often enough or has had its draws.
 *
 *   prepare the data -> one `mine` call a query, each result journalled as it arrives -> failures.jsonl, tallies.jsonl
 *
 * Seeds depend on query and draw alone, and the files are written in the order of the data, so they are the same for any
 * number of workers and after any interruption.
 */
import { z } from 'zod';
import type { Config } from '../config/schema.ts';
import { RunError, UserError } from '../errors.ts';
import { type MineResult, mineResult, type PrepareResult, type Query, query } from '../protocol/methods.ts';
import { readJson, replaceJson, replaceLines } from '../run/files.ts';
import { Journal, readLines } from '../run/journal.ts';
import type { RunPaths } from '../run/paths.ts';
import { Places } from '../run/places.ts';
import { beginStage } from '../run/stage.ts';
import { PoisonCallError } from '../workers/errors.ts';
import { type JobOptions, localLauncher, type SamplerOptions, startSamplers } from './job.ts';
import { estimatePassRate } from './pass-rate.ts';
import { prepareData } from './prepare.ts';

const count = z.int().nonnegative();

export const failuresSummary = z.object({
  /** Queries sampled, and those kept with a failure. */
  queries: count,
  kept: count,
  failures: count,
  /** Queries without a draw: their prompt doesn't fit model.max_model_len. */
  too_long: count,
  draws: count,
  wasted_draws: count,
  /** Chance that one draw passes, mean over the queries: unbiased, see pass-rate.ts. Null without a draw. */
  pass_rate: z.number().nullable().default(null),
  /** How the draws ended, "passed" included; sums to `draws`. */
  kinds: z.record(z.string(), count),
  prompt_tokens: count,
  completion_tokens: count,
});
export type FailuresSummary = z.output<typeof failuresSummary>;

const journalRecord = z.object({ id: z.string(), index: count, result: mineResult });

/** More queries than this that end every worker are no accident of a query. */
const MAX_POISONED = 10;

export async function buildFailures(options: JobOptions): Promise<FailuresSummary> {
  const { config, run, resume } = options;
  const stage = beginStage({ run, stage: 'failures', config, resume });
  const { paths, log } = stage;
  if (stage.finished) return failuresSummary.parse(readJson(paths.failuresSummary));
  return stage.during(async () => {
    const launcher = options.launcher ?? localLauncher(config, paths);
    const samplers = { ...options, launcher, log };
    const data = await prepareData(paths, samplers);
    const mined = await Mined.open(paths.failuresJournal);
    try {
      if (mined.sums.queries < data.train) await mineAll(mined, data, paths, samplers);
      await replaceLines(paths.failures, failureRows(mined, paths));
      await replaceLines(paths.tallies, tallyRows(mined, paths, config));
    } finally {
      mined.close();
    }
    if (mined.sums.queries > 0 && mined.sums.too_long === mined.sums.queries) {
      throw new UserError(`no query fits model.max_model_len ${config.model.max_model_len}`, {
        cure: 'raise it, or lower sampling.max_answer_tokens, in another run directory',
      });
    }
    const kinds = Object.entries(mined.sums.kinds).sort(([a], [b]) => (a < b ? -1 : 1));
    const summary = { ...mined.sums, kinds: Object.fromEntries(kinds) };
    replaceJson(paths.failuresSummary, summary);
    return summary;
  });
}

/** The results so far: on disk, with only their places and sums in memory. */
class Mined {
  readonly #journal: Journal;
  readonly #places: Places;
  readonly sums: FailuresSummary;

  private constructor(journal: Journal, places: Places, sums: FailuresSummary) {
    this.#journal = journal;
    this.#places = places;
    this.sums = sums;
  }

  static async open(path: string): Promise<Mined> {
    const places = new Places();
    const sums = emptySummary();
    const journal = await Journal.open(path, (line, offset) => {
      const { index, result } = journalRecord.parse(line);
      places.set(index, offset);
      addTo(sums, result);
    });
    return new Mined(journal, places, sums);
  }

  has({ index }: Query): boolean {
    return this.#places.has(index);
  }

  add({ id, index }: Query, result: MineResult): void {
    this.#places.set(index, this.#journal.append({ id, index, result }));
    addTo(this.sums, result);
  }

  resultOf({ id, index }: Query): MineResult {
    const place = this.#places.get(index);
    const record = place === undefined ? undefined : journalRecord.parse(this.#journal.readAt(place));
    if (record?.id !== id) throw new RunError(`the journal of failures holds no result of query ${id}`);
    return record.result;
  }

  close(): void {
    this.#journal.close();
  }
}

async function mineAll(
  mined: Mined,
  data: PrepareResult,
  paths: RunPaths,
  options: SamplerOptions,
): Promise<void> {
  const { config, progress, signal } = options;
  const poisoned: PoisonCallError[] = [];
  progress.start('loading the model', null);
  const pool = await startSamplers(config.model.name, options);
  try {
    progress.start('sampling', data.train, mined.sums.queries);
    await pool.forEach(
      owedQueries(mined, paths),
      async (owed) => {
        try {
          mined.add(owed, mineResult.parse(await pool.call('mine', mineParams(owed, config))));
        } catch (error) {
          if (!(error instanceof PoisonCallError) || poisoned.length === MAX_POISONED) throw error;
          progress.note(`query ${owed.id}: ${error.message}`);
          poisoned.push(error);
        }
        const { queries, kept, draws } = mined.sums;
        progress.update({ done: queries, total: data.train, counters: { kept, draws } });
      },
      signal,
    );
  } finally {
    await pool.stop();
    progress.finish();
  }
  if (poisoned[0]) {
    throw new RunError(`workers die of ${poisoned.length} of the queries; all others are done`, {
      details: [poisoned[0].message, ...(poisoned[0].details ?? [])],
      cure: '--resume tries them again',
    });
  }
}

async function* owedQueries(mined: Mined, paths: RunPaths): AsyncGenerator<Query> {
  for await (const line of readLines(paths.trainQueries)) {
    const read = query.parse(line);
    if (!mined.has(read)) yield read;
  }
}

function mineParams(owed: Query, { failures }: Config): Record<string, unknown> {
  return { query: owed, ...failures };
}

/** Rows in the order of the data. */
async function* failureRows(mined: Mined, paths: RunPaths) {
  for await (const line of readLines(paths.trainQueries)) {
    const { id, index, fields } = query.parse(line);
    for (const { draw, completion, verdict, tokens, finish_reason } of mined.resultOf({ id, index, fields })
      .failures) {
      const { kind, detail } = verdict;
      yield { id, index, query: fields, draw, completion, kind, detail, tokens, finish_reason };
    }
  }
}

/** Rows in the order of the data; afterwards `mined` knows the mean pass rate. */
async function* tallyRows(mined: Mined, paths: RunPaths, config: Config) {
  let rates = 0;
  for await (const line of readLines(paths.trainQueries)) {
    const read = query.parse(line);
    const result = mined.resultOf(read);
    const { draws, kinds, prompt_tokens, completion_tokens, failures } = result;
    const { id, index } = read;
    const kept = failures.length > 0;
    const pass_rate = estimatePassRate(result, config.failures);
    rates += pass_rate ?? 0;
    const passed = kinds.passed ?? 0;
    yield { id, index, draws, passed, pass_rate, kinds, prompt_tokens, completion_tokens, kept };
  }
  const { queries, too_long } = mined.sums;
  mined.sums.pass_rate = queries === too_long ? null : rates / (queries - too_long);
}

function emptySummary(): FailuresSummary {
  const zero = { queries: 0, kept: 0, failures: 0, too_long: 0, draws: 0, wasted_draws: 0 };
  return { ...zero, pass_rate: null, kinds: {}, prompt_tokens: 0, completion_tokens: 0 };
}

function addTo(sums: FailuresSummary, result: MineResult): void {
  sums.queries += 1;
  sums.kept += result.failures.length > 0 ? 1 : 0;
  sums.failures += result.failures.length;
  sums.too_long += result.draws === 0 ? 1 : 0;
  sums.draws += result.draws;
  sums.wasted_draws += result.wasted_draws;
  sums.prompt_tokens += result.prompt_tokens;
  sums.completion_tokens += result.completion_tokens;
  for (const [kind, times] of Object.entries(result.kinds))
    sums.kinds[kind] = (sums.kinds[kind] ?? 0) + times;
}
