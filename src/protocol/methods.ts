/** What the calls take and return. Names follow the Python side: rrr_workers/episode.py, roles, data, training. */
import { z } from 'zod';
import { JsonText } from './jsonl.ts';

const count = z.int().nonnegative();

/** One normalised problem. `id` is a content hash; `fields` is what prompts and the verifier need, for Python alone. */
export interface Query {
  id: string;
  index: number;
  fields: JsonText;
}

const QUERY = /^\{"id": ?("(?:[^"\\]|\\.)*"), ?"index": ?(\d+), ?"fields": ?(\{.*\})\}$/s;

/** A line of train.jsonl or test.jsonl. Undefined where it is none. */
export function parseQuery(line: string): Query | undefined {
  const [, id, index, fields] = QUERY.exec(line) ?? [];
  if (id === undefined || fields === undefined) return undefined;
  return { id: JSON.parse(id), index: Number(index), fields: new JsonText(fields) };
}

const completion = z.object({
  completion: z.string(),
  tokens: count,
  finish_reason: z.enum(['stop', 'length']),
});

export const attempt = completion.extend({
  verdict: z.object({ passed: z.boolean(), kind: z.string(), detail: z.string() }),
});
export type Attempt = z.output<typeof attempt>;

/** sample_failures {query, max_draws, failures_per_query, keep}: draw until the query has the failures it needs. */
export const failuresResult = z.object({
  /**
   * Draws that count, in order from 0: how many were made does not depend on chunks or timing. None for a query that is
   * left out.
   */
  draws: count,
  /** Draws made ahead of need and thrown away. */
  wasted_draws: count,
  prompt_tokens: count,
  completion_tokens: count,
  /** How the counted draws ended, "passed" included; sums to `draws`. */
  kinds: z.record(z.string(), count),
  failures: z.array(attempt.extend({ draw: count })),
  /** Why the query is left out: its prompt doesn't fit the model, or the endpoint refuses it. */
  left_out: z
    .object({ kind: z.enum(['prompt_too_long', 'refused']), message: z.string() })
    .nullable()
    .default(null),
});
export type FailuresResult = z.output<typeof failuresResult>;

/** Of an episode's completion: tokens of its prompt, where the version of rrr that made it told them. */
const promptTokens = { prompt_tokens: count.optional() };

/**
 * episode {query, decoding, purpose, failed_answer, retry}: a first try, skipped where a failed answer (text) is given, and what
 * `retry` says:
 *   {kind: reflect, rounds, gated}: up to so many rounds of reflection and retry; gated, until a try passes
 *   {kind: bare} and {kind: hint}: a retry that follows nothing, or the task's hint in the place of a reflection
 *   {kind: given, reflection}: a retry that follows this reflection
 *   {kind: sample, tokens}: first tries once more until one passes or so many tokens are spent, one at least
 * A try whose prompt doesn't fit the model failed with kind "prompt_too_long", one that the endpoint refuses with kind
 * "refused"; where that happens to the reflection, there is none.
 */
export const episodeResult = z.object({
  /** Hash of the first try's prompt, tools included. */
  prompt: z.string().optional(),
  first: attempt.extend(promptTokens).nullable(),
  rounds: z.array(
    z.object({
      reflection: completion.extend(promptTokens).nullable(),
      retry: attempt.extend(promptTokens),
    }),
  ),
});
export type EpisodeResult = z.output<typeof episodeResult>;

/** prepare {output}: writes train.jsonl and test.jsonl, lines {id, index, fields}, into the folder. */
export const prepareResult = z.object({
  read: count,
  train: count,
  test: count,
  unused: count,
  duplicates: count,
  skipped: count,
  /** The first few skipped rows, with what was wrong. */
  skipped_examples: z.array(z.string()),
  /** What looks wrong without being so for sure. */
  warnings: z.array(z.string()).default([]),
  /** Templates in force: recorded in the run's manifest. */
  prompts: z.record(z.string(), z.string().nullable()),
});
export type PrepareResult = z.output<typeof prepareResult>;

/**
 * hub {parts, commits, fetch}: the repositories of the hub that the config names, in its parts (models, data, benchmarks):
 * which commit each of them is, unless `commits` says so. With `fetch` they are got into the cache; without, and where the
 * hub is offline, they must be there.
 */
export const hubResult = z.object({
  repos: z.array(
    z.object({
      /** owner/name@revision, a data set's after "datasets/". */
      name: z.string(),
      kind: z.enum(['model', 'dataset']),
      /** The key of the config that names it. */
      key: z.string(),
      commit: z.string().nullable(),
      /** Of its files in the cache, once fetched. */
      bytes: count.nullable(),
      error: z.object({ message: z.string(), cure: z.string() }).nullable(),
    }),
  ),
});
export type HubRepo = z.output<typeof hubResult>['repos'][number];

/** check {rows}: what a task makes of its first rows. */
export const taskCheckResult = z.object({
  task: z.string(),
  rows: z.array(
    z.object({
      /** Where the row is, such as "rows.jsonl:3". */
      place: z.string(),
      id: z.string(),
      /** Messages of the first try. */
      prompt: z.array(z.object({ role: z.string(), content: z.string() })),
      checks: z.array(
        z.object({
          source: z.enum(['reference', 'empty', 'other row', 'corrupted']),
          answer: z.string(),
          /** "passed", "failed" (of any kind), a kind, or "any". */
          expected: z.string(),
          /** The verdict's kind, "passed" included; "raised" where there was no verdict. */
          kind: z.string(),
          detail: z.string(),
          ok: z.boolean(),
        }),
      ),
    }),
  ),
  /** Rows that the task refused; problems as well unless data.on_bad_row is skip. */
  bad_rows: z.array(z.string()),
  /** All that is wrong: the task holds when there are none. */
  problems: z.array(z.object({ place: z.string(), message: z.string(), cure: z.string() })),
  /** What was not tried, and what is odd without being wrong for sure. */
  notes: z.array(z.string()),
});
export type TaskCheckResult = z.output<typeof taskCheckResult>;

/** query {text}: the query that the task makes of a row that a person typed; its fields as JSON text. */
export const queryResult = z.object({ id: z.string(), fields: z.string() });

/** stats {}: what is in the data, as a run would split it. */
export const dataStatsResult = z.object({
  rows: count,
  bad_rows: count,
  bad_examples: z.array(z.string()),
  /** Distinct queries. */
  splits: z.object({ train: count, test: count, unused: count }),
  /** The task's own: tools and calls for function calling. */
  task: z.record(z.string(), z.json()),
  duplicates: z.object({
    /** Rows with the id of an earlier one, and those of them that have other fields: 0, or rows are lost. */
    exact: count,
    colliding: count.default(0),
    /** Distinct rows that share an earlier one's split key, and so its side. */
    same_problem: count,
    /** Split keys on both sides: 0, or the split is broken. */
    across_split: count,
    /** Test rows with nearly the words of a training row; null for tasks without a text to compare. */
    near_across_split: z
      .object({
        test_rows: count,
        pairs: count,
        examples: z.array(z.object({ test: z.string(), train: z.string(), similarity: z.number() })),
      })
      .nullable(),
  }),
});
export type DataStatsResult = z.output<typeof dataStatsResult>;

/** Events of train {failures, output, resume, last_step: of whose event is known, accept_versions}. */
export const trainEvent = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('step'),
    step: count,
    /** Mean reward of the batch: the share of retries that passed. */
    reward: z.number(),
    /** The reward that the verifier gave, also when train.reward shuffles it. */
    second_try: z.number(),
    reward_std: z.number(),
    kl: z.number(),
    loss: z.number(),
    grad_norm: z.number(),
    learning_rate: z.number(),
    /** Mean length of a reflection in tokens, and the share cut at the limit. */
    reflection_tokens: z.number(),
    reflection_truncated: z.number(),
    /** Mean |log-probability difference| of sampler and trainer over the reflections' tokens. */
    logprob_difference: z.number(),
    tokens_per_second: z.number(),
    seconds: z.number(),
  }),
  z.object({ kind: z.literal('checkpoint'), step: count, path: z.string() }),
  z.object({
    kind: z.literal('self_check'),
    /** Largest |gradient| that reaches a token's logits: of the reflection, and of everything else (must be 0). */
    inside: z.number(),
    outside: z.number(),
  }),
  /** Failures that no reflection can be sampled for: their prompt doesn't fit the model. */
  z.object({ kind: z.literal('left_out'), failures: count }),
  z.object({ kind: z.literal('resumed'), step: count, path: z.string() }),
  /** What the base model's own card says of its licence, and the commit of a model of the hub. */
  z.object({
    kind: z.literal('base'),
    commit: z.string().nullable(),
    license: z.string().nullable(),
    license_name: z.string().nullable(),
    license_link: z.string().nullable(),
  }),
  /** With train.lora: modules that have an adapter, parameters that are trained, and all that there are. */
  z.object({ kind: z.literal('adapter'), modules: count, trained: count, all: count }),
  /** With train.lora, at the end: root mean square of what merging has changed in the base's weights. */
  z.object({ kind: z.literal('merged'), drift: z.number() }),
]);
export type TrainEvent = z.output<typeof trainEvent>;

export const trainResult = z.object({ step: count, stopped: z.boolean(), model: z.string().nullable() });
export type TrainResult = z.output<typeof trainResult>;

/**
 * benchmark {task, model, output, max_gen_toks}: the model answers every item of a benchmark; writes lines of
 * `benchmarkItem` (run/records.ts) to the file `output`.
 */
export const benchmarkResult = z.object({ items: count, too_long: count, cut: count });
