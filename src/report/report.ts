/** The report as data: what report.json holds and every renderer shows. */
import type { Config } from '../config/schema.ts';
import type { Attempt, PrepareResult, Query, TrainEvent } from '../protocol/methods.ts';
import type { EvalRecord, Tally } from '../run/records.ts';
import type { Comparison } from './arms.ts';
import type { PaperRow } from './paper.ts';
import type { PairedComparison, Proportion } from './statistics.ts';

export type Decoding = Config['eval']['modes'][number];

/** Everything a report is made of, as it lies in the run directory. */
export interface ReportInput {
  rrr: string;
  versions: Record<string, string>;
  seconds: Record<string, number>;
  config: Config;
  /** The model of the trained arms. */
  trainedModel: string;
  data: PrepareResult;
  tallies: readonly Tally[];
  events: readonly TrainEvent[];
  queries: readonly Query[];
  records: readonly EvalRecord[];
}

export interface Report {
  rrr: string;
  versions: Record<string, string>;
  /** Wall-clock seconds of each stage. */
  seconds: Record<string, number>;
  task: string;
  models: { base: string; trained: string };
  /** Null for a model that another run trained. */
  reward: Config['train']['reward'] | null;
  /** What the numbers say, in sentences. */
  verdict: string[];
  decodings: DecodingReport[];
  data: PrepareResult;
  failures: FailureReport;
  training: TrainingReport;
  paper: PaperRow[];
  config: Config;
}

/** All arms under one decoding. */
export interface DecodingReport {
  decoding: Decoding;
  comparisons: ComparisonReport[];
  /** By the arm's name. */
  arms: Record<string, ArmReport>;
  /** Of the main comparison: the first queries in the order of the data, not picked. */
  examples: Example[];
}

export interface ComparisonReport extends Comparison {
  result: PairedComparison;
  /** How the compared tries ended, by kind of verdict. Null where several tries count as one. */
  kinds: Record<string, BeforeAfter<number>> | null;
}

export interface ArmReport {
  /** Retries that passed, of the queries that failed at the first try: other queries than another arm's. */
  second_try: Proportion;
  reflections: Lengths;
}

export interface BeforeAfter<T> {
  before: T;
  after: T;
}

/** Lengths of reflections in tokens. */
export interface Lengths {
  n: number;
  mean: number;
  median: number;
  /** Share that was cut at the token limit. */
  truncated: number;
}

export interface Example extends BeforeAfter<{ reflection: string; second: Attempt }> {
  id: string;
  fields: Query['fields'];
  failed: Attempt;
}

export interface FailureReport {
  queries: number;
  kept: number;
  draws: Proportion;
  /** Chance that one draw passes, mean over the queries; unbiased. Null without a draw. */
  pass_rate: number | null;
  kinds: Record<string, number>;
}

export type TrainStep = Extract<TrainEvent, { kind: 'step' }>;

export interface TrainingReport {
  steps: TrainStep[];
  /** Second-try rate of the training batches: mean over the first and the last tenth of the steps. */
  second_try: BeforeAfter<number> | null;
  /** KL divergence from the base model at the last step, 0 without a step. */
  kl: number;
  max_logprob_difference: number | null;
  self_check: { inside: number; outside: number } | null;
  resumed: number;
}
