/**
 * The evaluation: the base model, then the trained one (that of this run, or eval.model), on the same held-out queries.
 * Each gets its pool of its own, one after the other, since one GPU may hold just one model.
 *
 *   before, own    first try; where it fails, reflection and second try
 *   after, own     the same with the trained model
 *   after, base    the trained model's reflection and second try on the answer that the base model failed with
 *
 * The last against the base model's own second try is the paired comparison of the report: same queries, same failed
 * answers, and, as seeds depend on query and purpose alone, the same random numbers.
 */
import { existsSync } from 'node:fs';
import { z } from 'zod';
import { UserError } from '../errors.ts';
import { episodeResult, type Query, query } from '../protocol/methods.ts';
import type { EvalRecord, Mode } from '../report/report.ts';
import { Journal, readLines } from '../run/journal.ts';
import { runPaths } from '../run/paths.ts';
import { beginStage, requireStage } from '../run/stage.ts';
import { type JobOptions, localLauncher, type SamplerOptions, startSamplers } from './job.ts';
import { prepareData } from './prepare.ts';

export const evalRecord = z.object({
  model: z.enum(['before', 'after']),
  mode: z.enum(['sampled', 'greedy']),
  answer: z.enum(['own', 'base']),
  id: z.string(),
  episode: episodeResult,
}) satisfies z.ZodType<EvalRecord>;

type Owed = Omit<EvalRecord, 'id' | 'episode'> & { query: Query };

/** Completes RUN/eval/journal.jsonl. Throws the reason of `signal` when it aborts; what is done by then is kept. */
export async function evaluate(options: JobOptions): Promise<void> {
  const { config, run, resume } = options;
  const paths = runPaths(run);
  if (config.workers.engine === 'openai') {
    throw new UserError('the endpoint of workers.engine: openai does not serve the trained model', {
      cure: 'evaluate with --set workers.engine=vllm',
    });
  }
  if (config.eval.model === undefined) requireStage(run, 'train', config, 'rrr train');
  const stage = beginStage({ run, stage: 'eval', config, resume });
  if (stage.finished) return;
  const launcher = options.launcher ?? localLauncher(config, paths);
  const samplers = { ...options, launcher, log: stage.log };
  await stage.during(async () => {
    if (config.eval.model !== undefined) await prepareData(paths, samplers);
    const queries = await readQueries(paths.testQueries);
    const ledger = await Ledger.open(paths.evalJournal);
    try {
      const { modes } = config.eval;
      const before = ownEpisodes('before', modes, queries);
      await runPass('before', config.model.name, ledger.owed(before), ledger, samplers);
      const after = [...ownEpisodes('after', modes, queries), ...ledger.baseFailures(modes, queries)];
      await runPass('after', config.eval.model ?? paths.trainedModel, ledger.owed(after), ledger, samplers);
    } finally {
      ledger.close();
    }
  });
}

async function readQueries(path: string): Promise<Query[]> {
  const queries: Query[] = [];
  if (existsSync(path)) for await (const line of readLines(path)) queries.push(query.parse(line));
  if (queries.length === 0) {
    throw new UserError(`the test split is empty: ${path} holds no query`, {
      cure: 'start another run (--run) with a higher data.test_fraction, or with more rows',
    });
  }
  return queries;
}

function ownEpisodes(model: EvalRecord['model'], modes: readonly Mode[], queries: readonly Query[]): Owed[] {
  return modes.flatMap((mode) => queries.map((query) => ({ model, mode, answer: 'own' as const, query })));
}

async function runPass(
  side: EvalRecord['model'],
  model: string,
  owed: readonly Owed[],
  ledger: Ledger,
  options: SamplerOptions,
): Promise<void> {
  if (owed.length === 0) return;
  const { progress, signal } = options;
  progress.start(`loading the model ${side} training`, null);
  const pool = await startSamplers(model, options);
  try {
    progress.start(`evaluating ${side} training`, owed.length);
    let done = 0;
    await pool.forEach(
      owed,
      async ({ query, ...record }) => {
        const failed_answer = record.answer === 'base' ? ledger.failedAnswer(record.mode, query.id) : null;
        const params = { query, mode: record.mode, purpose: 'eval', failed_answer };
        const episode = episodeResult.parse(await pool.call('episode', params));
        ledger.append({ ...record, id: query.id, episode });
        progress.update({ done: ++done, total: owed.length });
      },
      signal,
    );
  } finally {
    await pool.stop();
    progress.finish();
  }
}

/** What is done, and the base model's failed answers. */
class Ledger {
  readonly #done = new Set<string>();
  readonly #failedAnswers = new Map<string, string>();
  #journal!: Journal;

  static async open(path: string): Promise<Ledger> {
    const ledger = new Ledger();
    ledger.#journal = await Journal.open(path, (record) => ledger.#note(evalRecord.parse(record)));
    return ledger;
  }

  append(record: EvalRecord): void {
    this.#journal.append(record);
    this.#note(record);
  }

  close(): void {
    this.#journal.close();
  }

  owed(episodes: readonly Owed[]): Owed[] {
    return episodes.filter((episode) => !this.#done.has(keyOf({ ...episode, id: episode.query.id })));
  }

  /** The trained model's episodes on the answers that the base model failed with. */
  baseFailures(modes: readonly Mode[], queries: readonly Query[]): Owed[] {
    return modes.flatMap((mode) =>
      queries
        .filter(({ id }) => this.failedAnswer(mode, id) !== undefined)
        .map((query) => ({ model: 'after' as const, mode, answer: 'base' as const, query })),
    );
  }

  failedAnswer(mode: Mode, id: string): string | undefined {
    return this.#failedAnswers.get(`${mode} ${id}`);
  }

  #note(record: EvalRecord): void {
    this.#done.add(keyOf(record));
    const { first } = record.episode;
    if (record.model === 'before' && first && !first.verdict.passed) {
      this.#failedAnswers.set(`${record.mode} ${record.id}`, first.completion);
    }
  }
}

function keyOf({ model, mode, answer, id }: Omit<EvalRecord, 'episode'>): string {
  return `${model} ${mode} ${answer} ${id}`;
}
