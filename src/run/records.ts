/**
 * Every file of a run directory as its writers and readers know it; where each of them is, is in paths.ts. Not here are
 * the two that have their schema elsewhere: data/*.jsonl are lines of `Query`, train/events.jsonl lines of `trainEvent`
 * (protocol/methods.ts), and the report's files, which nothing reads.
 */
import { z } from 'zod';
import { JsonText } from '../protocol/jsonl.ts';
import { attempt, episodeResult, failuresResult } from '../protocol/methods.ts';

const count = z.int().nonnegative();
/** Verdicts by kind, "passed" included. */
const kinds = z.record(z.string(), count);

/**
 * run.json says which format its directory has. A reader accepts every format from 2 on; directories of the time before
 * formats were numbered are refused.
 */
export const RUN_FORMAT = 2;

const stageRecord = z.object({
  /** running: also when it was killed. */
  status: z.enum(['running', 'interrupted', 'failed', 'finished']),
  /** Hash of the parts of the config that decide the stage's result. */
  config_sha: z.string(),
  started: z.string(),
  finished: z.string().nullable(),
  /** Times the stage was started, and the wall-clock seconds of all of them but those that were killed. */
  attempts: z.int().positive(),
  seconds: z.number().nonnegative(),
});
export type StageRecord = z.output<typeof stageRecord>;

/** The machine that a run was begun on. */
const machine = z.object({ cpu: z.string(), cores: count, memory_gib: z.number() });
export type Machine = z.output<typeof machine>;

/** run.json: what a run directory holds. */
export const manifest = z.object({
  format: z.int(),
  rrr_version: z.string(),
  /** Of rrr's source, where it is a git checkout; with "-dirty" where files of it were changed. */
  commit: z.string().nullable().optional(),
  machine: machine.optional(),
  created: z.string(),
  /** What today is for chat templates that tell the model: a run that goes on another day keeps its date. */
  date: z.iso.date(),
  /** Hash of the parts of the config that the prepared data follows from, once it is prepared. */
  data_sha: z.string().optional(),
  /** The prompt templates that are in force. */
  prompts: z.record(z.string(), z.string().nullable()).optional(),
  /** Commits of what comes from the hub, by owner/name@revision: the first to need one chooses it for the whole run. */
  hub: z.record(z.string(), z.string()).optional(),
  /** By the stage's name. */
  stages: z.record(z.string(), stageRecord),
});
export type Manifest = z.output<typeof manifest>;

/** status.json: what the process that works on the run last said of its progress. */
export const statusFile = z.object({
  /** The process that wrote it. */
  pid: z.int(),
  phase: z.string(),
  done: count,
  total: count.nullable(),
  /** What earlier attempts had done: it doesn't count for the rate. */
  before: count,
  counters: z.record(z.string(), z.union([z.number(), z.string()])),
  /** When the phase started, and when `done` was last reported. */
  started: z.iso.datetime(),
  updated: z.iso.datetime(),
  /** Of late, as of `updated`; null until it is known. */
  rate_per_s: z.number().nullable().default(null),
});
export type StatusFile = z.output<typeof statusFile>;

/** workers.jsonl: what became of each worker process. */
export const workerEvent = z.intersection(
  z.object({
    /** Milliseconds since 1970. */
    time: z.number(),
    /** Process id of the rrr that started the worker. */
    rrr: z.int(),
    worker: z.string(),
  }),
  z.discriminatedUnion('event', [
    /** `pid` leads the worker's process group. */
    z.object({ event: z.literal('started'), pid: z.int().nullable() }),
    z.object({ event: z.literal('hello'), versions: z.record(z.string(), z.string()) }),
    /** What the role says of itself: its engine, device and what the chat template drops or adds. */
    z.object({ event: z.literal('ready'), info: z.record(z.string(), z.json()) }),
    z.object({ event: z.literal('lost'), reason: z.string() }),
    z.object({ event: z.literal('exited'), how: z.string() }),
  ]),
);
export type WorkerEvent = z.output<typeof workerEvent>;

/** job/job.json: the Slurm job that was submitted last. */
export const jobRecord = z.object({
  /** Null until sbatch has answered; the job itself fills it in, too. */
  id: z.int().positive().nullable(),
  /** Where it isn't the cluster that Slurm's commands ask by themselves. */
  cluster: z.string().nullable(),
  submitted: z.iso.datetime(),
  /** What it runs, such as "run" or "train". */
  command: z.string(),
  /** The command line that submits the rest of the work. */
  resume: z.string(),
  /** It may go on in another attempt by itself. */
  requeue: z.boolean(),
});
export type JobRecord = z.output<typeof jobRecord>;

/** job/attempts.jsonl: every start of the job's script, and its end where it came to one. */
export const attemptEvent = z.intersection(
  z.object({ time: z.iso.datetime(), job: z.int(), attempt: z.int().positive() }),
  z.discriminatedUnion('event', [
    /** `done`: what all stages had done before, in their units. */
    z.object({ event: z.literal('started'), nodes: z.string(), done: count }),
    /** `code`: of rrr. `requeued`: another attempt is to follow. */
    z.object({ event: z.literal('ended'), code: z.int(), requeued: z.boolean(), why: z.string() }),
  ]),
);
export type AttemptEvent = z.output<typeof attemptEvent>;

/** failures/journal.jsonl: the result of each query, as it arrived. */
export const failuresJournalRecord = z.object({ id: z.string(), index: count, result: failuresResult });

/** failures/failures.jsonl: the data set of failures, in the order of the data. */
const failureRow = z.object({
  id: z.string(),
  index: count,
  query: z.instanceof(JsonText),
  draw: count,
  completion: z.string(),
  kind: z.string(),
  detail: z.string(),
  tokens: count,
  finish_reason: attempt.shape.finish_reason,
});
export type FailureRow = z.output<typeof failureRow>;

/** failures/tallies.jsonl: one line for each query, in the order of the data. */
export const tally = z.object({
  id: z.string(),
  index: count,
  draws: count,
  passed: count,
  /** Chance that one draw passes: unbiased, see stages/failures/pass-rate.ts. Null without a draw. */
  pass_rate: z.number().nullable(),
  kinds,
  prompt_tokens: count,
  completion_tokens: count,
  kept: z.boolean(),
});
export type Tally = z.output<typeof tally>;

/** failures/summary.json. */
export const failuresSummary = z.object({
  /** Queries sampled, and those kept with a failure. */
  queries: count,
  kept: count,
  failures: count,
  /** Queries that were left out: their prompt doesn't fit model.max_model_len, or the endpoint refuses it. */
  too_long: count,
  refused: count.default(0),
  draws: count,
  wasted_draws: count,
  /** Mean of the queries' pass rates. Null without a draw. */
  pass_rate: z.number().nullable(),
  /** How the draws ended; sums to `draws`. */
  kinds,
  prompt_tokens: count,
  completion_tokens: count,
});
export type FailuresSummary = z.output<typeof failuresSummary>;

/** train/summary.json. */
export const trainSummary = z.object({
  steps: count,
  /** Times the trainer was started again after a crash, in the attempt that finished. */
  restarts: count,
  /** Share of the retries that passed: mean of the first and of the last tenth of the steps. Null without a step. */
  second_try: z.object({ before: z.number(), after: z.number() }).nullable(),
  /** KL divergence from the base model at the last step. */
  kl: z.number(),
  /** Largest mean log-probability difference of sampler and trainer in a step. Null without a step. */
  max_logprob_difference: z.number().nullable(),
  /** The rrr that made the model; its commit where it ran from a clone. */
  rrr: z.object({ version: z.string(), commit: z.string().nullable() }).optional(),
});
export type TrainSummary = z.output<typeof trainSummary>;

/** eval/journal.jsonl: an episode of one arm of the evaluation (report/arms.ts) on one query. */
export const evalRecord = z.object({
  arm: z.string(),
  decoding: z.enum(['sampled', 'greedy']),
  /** Number of the query's sample under this decoding, from 0. */
  sample: count.default(0),
  id: z.string(),
  episode: episodeResult,
});
export type EvalRecord = z.output<typeof evalRecord>;

/** benchmarks/MODEL/TASK.jsonl: an item as a model answered it. */
export const benchmarkItem = z.object({
  /** Of the item's content. */
  id: z.string(),
  model: z.enum(['base', 'trained']),
  task: z.string(),
  /** 0 or 1; 0 where the prompt was too long to be asked. */
  score: z.union([z.literal(0), z.literal(1)]),
  /** The prompt, with room for an answer, doesn't fit model.max_model_len: it was refused, not cut. */
  too_long: z.boolean(),
  /** The answer was cut at benchmarks.max_gen_toks. */
  cut: z.boolean(),
  /** Hash of the prompt as the model saw it. */
  prompt: z.string(),
  /** Null where nothing is written, only scored. */
  completion: z.string().nullable(),
});
export type BenchmarkItem = z.output<typeof benchmarkItem>;
