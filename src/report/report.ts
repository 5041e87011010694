/** The report as data: what report.json holds and every renderer shows. */
import type { Config } from '../config/schema.ts';
import type { Attempt, PrepareResult, Query, TrainEvent } from '../protocol/methods.ts';
import type { EvalRecord, Machine, Tally } from '../run/records.ts';
import type { Comparison, Control } from './arms.ts';
import type { PaperRow } from './paper.ts';
import type { Interval, PairedComparison, Proportion, Share } from './statistics.ts';

export type Decoding = Config['eval']['modes'][number];

/** Everything a report is made of, as it lies in the run directory. */
export interface ReportInput {
  rrr: string;
  versions: Record<string, string>;
  /** Commits of what comes from the hub, by owner/name@revision. */
  hub: Record<string, string>;
  seconds: Record<string, number>;
  config: Config;
  /** The model of the trained arms. */
  trainedModel: string;
  data: PrepareResult;
  tallies: readonly Tally[];
  events: readonly TrainEvent[];
  queries: readonly Query[];
  records: readonly EvalRecord[];
  /** The evaluation goes on, or was stopped: only queries that have all their answers count. */
  unfinished: boolean;
  origin: Origin;
  /** Of `rrr benchmarks`; none where these weren't run. */
  forgetting: readonly Forgetting[];
}

export interface Report {
  rrr: string;
  versions: Record<string, string>;
  hub: Record<string, string>;
  /** Wall-clock seconds of each stage. */
  seconds: Record<string, number>;
  task: string;
  models: { base: string; trained: string };
  /** Null for a model that another run trained. */
  reward: Config['train']['reward'] | null;
  /** How far an evaluation is that is not finished; null for one that is. */
  progress: EvaluationProgress[] | null;
  /** The main result in plain words; before it, how far an unfinished evaluation is. */
  headline: string;
  /** What the numbers say, in sentences. */
  verdict: string[];
  decodings: DecodingReport[];
  data: PrepareResult;
  failures: FailureReport;
  training: TrainingReport;
  forgetting: readonly Forgetting[];
  paper: PaperRow[];
  origin: Origin;
  config: Config;
}

/** Under one decoding. */
export interface EvaluationProgress {
  decoding: Decoding;
  /** Tries that have all their answers, of all. */
  done: number;
  total: number;
  /** Answers of each arm that makes a first try, by the arm's label. */
  arms: Record<string, number>;
}

/** What the files of a run say of where it comes from. */
export interface Origin {
  created: string;
  /** What makes the same run elsewhere. */
  command: string;
  /** Of rrr's own source, where it ran from a git checkout. */
  commit: string | null;
  /** Of the run's beginning; null for a run of an rrr that did not record it. */
  machine: Machine | null;
  /** What the workers' engines said of themselves when they started. */
  engines: string[];
  /** Prompt templates in force. */
  prompts: Record<string, string | null>;
  /** By the file's place in the run: sha256. */
  hashes: Record<string, string>;
  /** Where the resolved config is not the default. */
  changes: ConfigChange[];
}

export interface ConfigChange {
  key: string;
  /** As JSON; null where there is none. */
  preset: string | null;
  here: string;
}

/** All arms under one decoding. */
export interface DecodingReport {
  decoding: Decoding;
  /** First tries of a query. */
  samples: number;
  comparisons: ComparisonReport[];
  controls: ControlReport[];
  /** The trained model beside each baseline. */
  baselines: ComparisonReport[];
  /** By the arm's name. */
  arms: Record<string, ArmReport>;
  /** Of what the two models say of the same failed answers; null where nothing of the samples is told. */
  phrases: PhraseReport | null;
  lengths: Histogram[];
  /** Of the main comparison: the first queries in the order of the data, not picked. */
  examples: Example[];
}

export interface ComparisonReport extends Comparison {
  result: PairedComparison;
  /** The p-value after Holm (1979), over all comparisons of the report. */
  adjusted_p: number;
  /** How the compared tries ended, by kind of verdict. Null where several tries count as one. */
  kinds: Record<string, BeforeAfter<number>> | null;
}

export interface ControlReport {
  control: Control;
  label: string;
  /** The control before and after training. */
  gain: ComparisonReport;
  /** The control, after training, and the trained model's own reflections. */
  own: ComparisonReport;
}

export interface ArmReport {
  /** Failed first tries whose retries, in any round, passed: other queries than another arm's. */
  second_try: Share;
  /** From the first answer to the last one, where the arm has first tries. */
  transitions: Transitions | null;
  /** Passed after 0, 1, ... rounds: by then (gated), and at that very answer (ungated; null where only failures are retried). */
  rounds: { gated: Share; ungated: Share | null }[];
  /** Chance that at least one of 1, 2, 4, ... first tries passes; empty where a query has one. */
  pass_at: { k: number; rate: number; interval: Interval }[];
  reflections: Lengths;
  /** Mean tokens that a query cost after its failed first try, and the tokens of the prompts: null where they weren't told. */
  spent: { completion: number; prompt: number | null };
}

/** Counts of answers by how the first and the last try ended. */
export interface Transitions {
  right_right: number;
  right_wrong: number;
  wrong_right: number;
  wrong_wrong: number;
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

/** What many reflections have in common. */
export interface PhraseReport {
  /** How many reflections there are. */
  of: BeforeAfter<number>;
  phrases: Phrase[];
}

/** Reflections that have it, and how many of their retries passed. */
export interface Phrase extends BeforeAfter<{ n: number; passed: number }> {
  text: string;
}

/** Lengths in tokens: bins[i] counts those from i * width to less than (i + 1) * width. */
export interface Histogram extends BeforeAfter<{ n: number; bins: number[] }> {
  title: string;
  width: number;
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

/** A general benchmark before and after training: `rrr benchmarks`. */
export interface Forgetting {
  task: string;
  /** All that were read; those that were too long for either model are not in `result`. */
  items: number;
  too_long: number;
  /** Answers of `result` that were cut at the limit. */
  cut: BeforeAfter<number>;
  /** Items of `result` whose prompt was not the same text for both models. */
  other_prompts: number;
  result: PairedComparison;
  /** The p-value after Holm (1979), over the benchmarks. */
  adjusted_p: number;
}
