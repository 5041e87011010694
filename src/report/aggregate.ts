/** From the records of a run to its report: counting and statistics, nothing else. */
import { addCounts } from '../counts.ts';
import type { Attempt, EpisodeResult } from '../protocol/methods.ts';
import type { EvalRecord, Tally } from '../run/records.ts';
import { ARMS, COMPARISONS, type Comparison, MAIN_COMPARISON } from './arms.ts';
import { paperRows } from './paper.ts';
import type {
  ArmReport,
  BeforeAfter,
  ComparisonReport,
  Decoding,
  DecodingReport,
  Example,
  FailureReport,
  Lengths,
  Report,
  ReportInput,
} from './report.ts';
import { comparePaired, mean, median, proportion } from './statistics.ts';
import { aggregateTraining } from './training.ts';
import { judge } from './verdict.ts';

export function aggregate(input: ReportInput): Report {
  const reward = input.config.eval.model === undefined ? input.config.train.reward : null;
  const decodings = input.config.eval.modes.map((decoding) => aggregateDecoding(decoding, input));
  return {
    rrr: input.rrr,
    versions: input.versions,
    seconds: input.seconds,
    task: input.config.task.name,
    models: { base: input.config.model.name, trained: input.trainedModel },
    reward,
    verdict: judge(decodings, reward),
    decodings,
    data: input.data,
    failures: aggregateFailures(input.tallies),
    training: aggregateTraining(input.events),
    paper: paperRows(input.config.task.name),
    config: input.config,
  };
}

/** One query under one decoding: an episode for each arm that has one, by the arm's name. */
interface Case {
  id: string;
  fields: Example['fields'];
  episodes: Record<string, EpisodeResult>;
}

function aggregateDecoding(decoding: Decoding, { queries, records, config }: ReportInput): DecodingReport {
  const cases = collectCases(decoding, queries, records);
  return {
    decoding,
    comparisons: COMPARISONS.map((comparison) => compare(comparison, cases)),
    arms: Object.fromEntries(
      ARMS.map(({ name }) => [name, describeArm(cases.flatMap(({ episodes }) => episodes[name] ?? []))]),
    ),
    examples: among(MAIN_COMPARISON, cases)
      .flatMap((item) => showExample(item, MAIN_COMPARISON))
      .slice(0, config.eval.examples),
  };
}

/** Throws where an arm lacks a query that it must have: the evaluation is not complete. */
function collectCases(
  decoding: Decoding,
  queries: ReportInput['queries'],
  records: readonly EvalRecord[],
): Case[] {
  const found = new Map<string, EpisodeResult>();
  for (const record of records) {
    if (record.decoding === decoding) found.set(`${record.arm} ${record.id}`, record.episode);
  }
  return queries.map(({ id, fields }) => {
    const episodes: Case['episodes'] = {};
    for (const { name, failuresOf } of ARMS) {
      const episode = found.get(`${name} ${id}`);
      const source = failuresOf === null ? undefined : episodes[failuresOf];
      if (episode) episodes[name] = episode;
      else if (!source || !firstPassed(source)) throw new Error(`no ${decoding} evaluation of query ${id}`);
    }
    return { id, fields, episodes };
  });
}

const firstPassed = (episode: EpisodeResult | undefined) => episode?.first?.verdict.passed === true;
const retryPassed = (episode: EpisodeResult | undefined) =>
  episode?.rounds.at(-1)?.retry.verdict.passed === true;

const PASSED: Record<Comparison['outcome'], (episode: EpisodeResult | undefined) => boolean> = {
  first: firstPassed,
  retry: retryPassed,
  any: (episode) => firstPassed(episode) || retryPassed(episode),
};

/** The try that an outcome is about, where it is about one. */
function triedFor(outcome: Comparison['outcome'], episode: EpisodeResult | undefined): Attempt | undefined {
  return (outcome === 'first' ? episode?.first : episode?.rounds.at(-1)?.retry) ?? undefined;
}

function among({ among, before }: Comparison, cases: readonly Case[]): readonly Case[] {
  return among === 'all' ? cases : cases.filter(({ episodes }) => !firstPassed(episodes[before]));
}

function compare(comparison: Comparison, cases: readonly Case[]): ComparisonReport {
  const { before, after, outcome } = comparison;
  const pairs = among(comparison, cases).map(({ episodes }) => ({
    before: episodes[before],
    after: episodes[after],
  }));
  const passed = PASSED[outcome];
  return {
    ...comparison,
    result: comparePaired(pairs.map((pair) => ({ before: passed(pair.before), after: passed(pair.after) }))),
    kinds:
      outcome === 'any'
        ? null
        : countKinds(
            pairs.map((pair) => ({
              before: triedFor(outcome, pair.before),
              after: triedFor(outcome, pair.after),
            })),
          ),
  };
}

/** How often each verdict was given; the kinds in the order of how often the first arm shows them. */
function countKinds(
  attempts: readonly BeforeAfter<Attempt | undefined>[],
): Record<string, BeforeAfter<number>> {
  const counts: Record<string, BeforeAfter<number>> = {};
  for (const pair of attempts) {
    for (const side of ['before', 'after'] as const) {
      const kind = pair[side]?.verdict.kind;
      if (kind === undefined) continue;
      counts[kind] ??= { before: 0, after: 0 };
      counts[kind][side] += 1;
    }
  }
  return Object.fromEntries(Object.entries(counts).sort(([, a], [, b]) => b.before - a.before));
}

function describeArm(episodes: readonly EpisodeResult[]): ArmReport {
  const failed = episodes.filter((episode) => !firstPassed(episode));
  return {
    second_try: proportion(failed.filter(retryPassed).length, failed.length),
    reflections: measureReflections(failed),
  };
}

function measureReflections(episodes: readonly EpisodeResult[]): Lengths {
  const reflections = episodes.flatMap(({ rounds }) => rounds.flatMap(({ reflection }) => reflection ?? []));
  const tokens = reflections.map(({ tokens }) => tokens);
  const n = tokens.length;
  const truncated = reflections.filter(({ finish_reason }) => finish_reason === 'length').length;
  return { n, mean: mean(tokens), median: median(tokens), truncated: n === 0 ? 0 : truncated / n };
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
