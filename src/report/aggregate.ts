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
import { adjust } from './outcome.ts';
import { paperRows } from './paper.ts';
import type {
  ComparisonReport,
  DecodingReport,
  Example,
  FailureReport,
  Report,
  ReportInput,
} from './report.ts';
import { mean, proportion } from './statistics.ts';
import { aggregateTraining } from './training.ts';
import { judge } from './verdict.ts';

export function aggregate(input: ReportInput): Report {
  const reward = input.config.eval.model === undefined ? input.config.train.reward : null;
  const decodings = modesOf(input.config.eval).map((mode) => aggregateDecoding(mode, input));
  adjust(decodings.flatMap(allComparisons));
  return {
    rrr: input.rrr,
    versions: input.versions,
    hub: input.hub,
    seconds: input.seconds,
    task: input.config.task.name,
    models: { base: input.config.model.name, trained: input.trainedModel },
    reward,
    verdict: judge(decodings, reward),
    decodings,
    data: input.data,
    failures: aggregateFailures(input.tallies),
    training: aggregateTraining(input.events),
    forgetting: input.forgetting,
    paper: paperRows(input.config.task.name),
    config: input.config,
  };
}

function aggregateDecoding(mode: Mode, input: ReportInput): DecodingReport {
  const evaluation = input.config.eval;
  const arms = armsOf(evaluation);
  const cases = casesOf(arms, mode, input);
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
    examples: among(SECOND_TRY, cases)
      .flatMap((item) => showExample(item, SECOND_TRY))
      .slice(0, evaluation.examples),
  };
}

/** All that the report gives a p-value for. */
export function allComparisons({ comparisons, controls, baselines }: DecodingReport): ComparisonReport[] {
  return [...comparisons, ...controls.flatMap(({ gain, own }) => [gain, own]), ...baselines];
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
