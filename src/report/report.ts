/** The report as data: what report.json holds and every renderer shows. */
import type { Config } from '../config/schema.ts';
import type { Attempt, EpisodeResult, PrepareResult, Query, TrainEvent } from '../protocol/methods.ts';
import type { PaperRow } from './paper.ts';
import type { PairedComparison, Proportion } from './statistics.ts';

export type Mode = Config['eval']['modes'][number];

/** One line of the evaluation's journal: an episode of one model on one query. */
export interface EvalRecord {
  model: 'before' | 'after';
  mode: Mode;
  /** own: from the first try on. base: the reflection and second try on the base model's failed answer. */
  answer: 'own' | 'base';
  id: string;
  episode: EpisodeResult;
}

/** One line of failures/tallies.jsonl. */
export interface Tally {
  draws: number;
  passed: number;
  pass_rate: number | null;
  kinds: Record<string, number>;
  kept: boolean;
}

/** Everything a report is made of, as it lies in the run directory. */
export interface ReportInput {
  rrr: string;
  versions: Record<string, string>;
  seconds: Record<string, number>;
  config: Config;
  /** The model that "after" stands for. */
  model: string;
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
  models: { before: string; after: string };
  /** Null for a model that another run trained. */
  reward: Config['train']['reward'] | null;
  /** What the numbers say, in sentences. */
  verdict: string[];
  modes: ModeReport[];
  data: PrepareResult;
  failures: FailureReport;
  training: TrainingReport;
  paper: PaperRow[];
  config: Config;
}

export interface ModeReport {
  mode: Mode;
  first_try: PairedComparison;
  /** Second try on the base model's failures: each model's own reflection and retry on the same failed answer. */
  second_try: PairedComparison;
  /** Second try of each model on its own failures: not the same queries. */
  own_second_try: BeforeAfter<Proportion>;
  /** Passed at the first or the second try. */
  overall: PairedComparison;
  first_try_kinds: Record<string, BeforeAfter<number>>;
  /** On the base model's failures. */
  second_try_kinds: Record<string, BeforeAfter<number>>;
  reflections: BeforeAfter<Lengths>;
  examples: Example[];
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
  /** Share cut off at the token limit. */
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
  max_logprob_difference: number | null;
  self_check: { inside: number; outside: number } | null;
  resumed: number;
}
