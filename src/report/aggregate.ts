/** From the records of a run to its report: counting and statistics, nothing else. */
import { addCounts } from '../counts.ts';
import type { Tally } from '../run/records.ts';
import { describeArm } from './arm-report.ts';
import {
  armsOf,
  baselinesOf,
  type Comparison,
  comparisonsOf,
  controlsOf,
  type Mode,
  modesOf,
  SECOND_TRY,
} from './arms.ts';
import { among, type Case, casesOf } from './cases.ts';
import { compare } from './compare.ts';
import { measureLengths } from './lengths.ts';
import { adjust } from './outcome.ts';
import { paperRows } from './paper.ts';
import { findPhrases, type Reflected } from './phrases.ts';
import type {
  ComparisonReport,
  DecodingReport,
  EvaluationProgress,
  Example,
  FailureReport,
  Report,
  ReportInput,
} from './report.ts';
import { mean, proportion } from './statistics.ts';
import { aggregateTraining } from './training.ts';
import { judge, sayHeadline, sayProgress } from './verdict.ts';

/** `cases`: those of `allCases`, where they are there already. */
export function aggregate(input: ReportInput, cases = allCases(input)): Report {
  const reward = input.config.eval.model === undefined ? input.config.train.reward : null;
  const decodings = modesOf(input.config.eval).map((mode, index) =>
    aggregateDecoding(mode, cases[index] ?? [], input),
  );
  adjust(decodings.flatMap(allComparisons));
  const progress = input.unfinished ? decodings.map((report) => measureProgress(report, input)) : null;
  return {
    rrr: input.rrr,
    versions: input.versions,
    hub: input.hub,
    seconds: input.seconds,
    task: input.config.task.name,
    models: { base: input.config.model.name, trained: input.trainedModel },
    reward,
    progress,
    headline: [...(progress ?? []).map(sayProgress), sayHeadline(decodings)].join(' '),
    verdict: judge(decodings, reward),
    decodings,
    data: input.data,
    failures: aggregateFailures(input.tallies),
    training: aggregateTraining(input.events),
    forgetting: input.forgetting,
    paper: paperRows(input.config.task.name),
    origin: input.origin,
    config: input.config,
  };
}

/** All cases of the evaluation, by its decodings in their order. */
export function allCases(input: ReportInput): Case[][] {
  return modesOf(input.config.eval).map((mode) => casesOf(armsOf(input.config.eval), mode, input));
}

function aggregateDecoding(mode: Mode, cases: readonly Case[], input: ReportInput): DecodingReport {
  const evaluation = input.config.eval;
  const arms = armsOf(evaluation);
  return {
    ...mode,
    comparisons: comparisonsOf(evaluation).map((comparison) => compare(comparison, cases)),
    controls: controlsOf(evaluation).map((control) => ({
      ...control,
      gain: compare(control.gain, cases),
      own: compare(control.own, cases),
    })),
    baselines: baselinesOf(evaluation).map((comparison) => compare(comparison, cases)),
    arms: Object.fromEntries(arms.map((arm) => [arm.name, describeArm(arm, cases, evaluation)])),
    phrases: findPhrases({
      before: reflectedBy(SECOND_TRY.before, cases),
      after: reflectedBy(SECOND_TRY.after, cases),
    }),
    lengths: measureLengths(cases),
    examples: among(SECOND_TRY, cases)
      .flatMap((item) => showExample(item, SECOND_TRY))
      .slice(0, evaluation.examples),
  };
}

/** All that the report gives a p-value for. */
export function allComparisons({ comparisons, controls, baselines }: DecodingReport): ComparisonReport[] {
  return [...comparisons, ...controls.flatMap(({ gain, own }) => [gain, own]), ...baselines];
}

/** An arm's first reflections on the base model's failures. */
function reflectedBy(arm: string, cases: readonly Case[]): Reflected[] {
  return among(SECOND_TRY, cases).flatMap(({ episodes }) => {
    const { reflection, retry } = episodes[arm]?.rounds[0] ?? {};
    return reflection && retry ? [{ text: reflection.completion, passed: retry.verdict.passed }] : [];
  });
}

function measureProgress(
  { decoding, samples, comparisons }: DecodingReport,
  { config, queries, records }: ReportInput,
): EvaluationProgress {
  const done = comparisons.find(({ among }) => among === 'all')?.result.n ?? 0;
  const own = armsOf(config.eval).filter(({ failuresOf }) => failuresOf === null);
  const count = (name: string) =>
    records.filter((record) => record.decoding === decoding && record.arm === name).length;
  return {
    decoding,
    done,
    total: samples * queries.length,
    arms: Object.fromEntries(own.map(({ name, label }) => [label, count(name)])),
  };
}

/** The same without anything that a query or a completion says, for data that may not be passed on. */
export function withoutSamples(report: Report): Report {
  return {
    ...report,
    data: { ...report.data, skipped_examples: [], warnings: [] },
    decodings: report.decodings.map((decoding) => ({ ...decoding, phrases: null, examples: [] })),
  };
}

function showExample({ id, fields, episodes }: Case, { before, after }: Comparison): Example[] {
  const failed = episodes[before]?.first;
  const side = (arm: string) => {
    const { reflection, retry } = episodes[arm]?.rounds[0] ?? {};
    return reflection && retry ? { reflection: reflection.completion, second: retry } : undefined;
  };
  const [one, other] = [side(before), side(after)];
  return failed && one && other ? [{ id, fields, failed, before: one, after: other }] : [];
}

function aggregateFailures(tallies: readonly Tally[]): FailureReport {
  const kinds: Record<string, number> = {};
  for (const tally of tallies) addCounts(kinds, tally.kinds);
  const rates = tallies.flatMap(({ pass_rate }) => pass_rate ?? []);
  const draws = tallies.reduce((sum, tally) => sum + tally.draws, 0);
  const passed = tallies.reduce((sum, tally) => sum + tally.passed, 0);
  return {
    queries: tallies.length,
    kept: tallies.filter(({ kept }) => kept).length,
    draws: proportion(draws - passed, draws),
    pass_rate: rates.length === 0 ? null : mean(rates),
    kinds: Object.fromEntries(Object.entries(kinds).sort(([, a], [, b]) => b - a)),
  };
}
