/** From the records of a run to its report: counting and statistics, nothing else. */
import type { Attempt, EpisodeResult, TrainEvent } from '../protocol/methods.ts';
import { paperRows } from './paper.ts';
import type {
  BeforeAfter,
  EvalRecord,
  Example,
  FailureReport,
  Lengths,
  Mode,
  ModeReport,
  Report,
  ReportInput,
  Tally,
  TrainingReport,
  TrainStep,
} from './report.ts';
import { comparePaired, proportion } from './statistics.ts';
import { judge } from './verdict.ts';

export function aggregate(input: ReportInput): Report {
  const reward = input.config.eval.model === undefined ? input.config.train.reward : null;
  const modes = input.config.eval.modes.map((mode) => aggregateMode(mode, input));
  return {
    rrr: input.rrr,
    versions: input.versions,
    seconds: input.seconds,
    task: input.config.task.name,
    models: { before: input.config.model.name, after: input.model },
    reward,
    verdict: judge(modes, reward),
    modes,
    data: input.data,
    failures: aggregateFailures(input.tallies),
    training: aggregateTraining(input.events),
    paper: paperRows(input.config.task.name),
    config: input.config,
  };
}

/** One query in one mode: both models from scratch, and the trained one on the base model's failed answer. */
interface Case {
  id: string;
  fields: Example['fields'];
  before: EpisodeResult;
  after: EpisodeResult;
  onBase: EpisodeResult | null;
}

function aggregateMode(mode: Mode, { queries, records, config }: ReportInput): ModeReport {
  const cases = collectCases(mode, queries, records);
  const failed = cases.filter((item) => !firstPassed(item.before));
  return {
    mode,
    first_try: compare(cases, ({ before, after }) => [firstPassed(before), firstPassed(after)]),
    second_try: compare(failed, ({ before, onBase }) => [secondPassed(before), secondPassed(onBase)]),
    own_second_try: {
      before: secondTry(cases.map(({ before }) => before)),
      after: secondTry(cases.map(({ after }) => after)),
    },
    overall: compare(cases, ({ before, after }) => [
      firstPassed(before) || secondPassed(before),
      firstPassed(after) || secondPassed(after),
    ]),
    first_try_kinds: countKinds(
      cases.map(({ before, after }) => ({ before: before.first, after: after.first })),
    ),
    second_try_kinds: countKinds(
      failed.map(({ before, onBase }) => ({ before: before.second, after: onBase?.second ?? null })),
    ),
    reflections: {
      before: measureReflections(failed.map(({ before }) => before)),
      after: measureReflections(failed.map(({ onBase }) => onBase)),
    },
    examples: failed.flatMap(showExample).slice(0, config.eval.examples),
  };
}

function collectCases(mode: Mode, queries: ReportInput['queries'], records: readonly EvalRecord[]): Case[] {
  const episodes = new Map<string, EpisodeResult>();
  for (const record of records) {
    if (record.mode === mode) episodes.set(`${record.model} ${record.answer} ${record.id}`, record.episode);
  }
  return queries.map(({ id, fields }) => {
    const before = episodes.get(`before own ${id}`);
    const after = episodes.get(`after own ${id}`);
    const onBase = episodes.get(`after base ${id}`) ?? null;
    if (!before || !after || (!firstPassed(before) && !onBase))
      throw new Error(`no ${mode} evaluation of query ${id}`);
    return { id, fields, before, after, onBase };
  });
}

const firstPassed = (episode: EpisodeResult) => episode.first?.verdict.passed === true;
const secondPassed = (episode: EpisodeResult | null) => episode?.second?.verdict.passed === true;

function compare(cases: readonly Case[], outcomes: (item: Case) => [before: boolean, after: boolean]) {
  return comparePaired(
    cases.map((item) => {
      const [before, after] = outcomes(item);
      return { before, after };
    }),
  );
}

function secondTry(episodes: readonly EpisodeResult[]) {
  const failed = episodes.filter((episode) => !firstPassed(episode));
  return proportion(failed.filter(secondPassed).length, failed.length);
}

/** How often each verdict was given; the kinds in the order of how often the base model shows them. */
function countKinds(attempts: readonly BeforeAfter<Attempt | null>[]): Record<string, BeforeAfter<number>> {
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

function measureReflections(episodes: readonly (EpisodeResult | null)[]): Lengths {
  const reflections = episodes.flatMap((episode) => episode?.reflection ?? []);
  const tokens = reflections.map(({ tokens }) => tokens).sort((a, b) => a - b);
  const n = tokens.length;
  const middle = ((tokens[(n - 1) >> 1] ?? 0) + (tokens[n >> 1] ?? 0)) / 2;
  const truncated = reflections.filter(({ finish_reason }) => finish_reason === 'length').length;
  return { n, mean: mean(tokens), median: middle, truncated: n === 0 ? 0 : truncated / n };
}

function showExample({ id, fields, before, onBase }: Case): Example[] {
  if (!before.first || !before.reflection || !before.second || !onBase?.reflection || !onBase.second)
    return [];
  return [
    {
      id,
      fields,
      failed: before.first,
      before: { reflection: before.reflection.completion, second: before.second },
      after: { reflection: onBase.reflection.completion, second: onBase.second },
    },
  ];
}

function aggregateFailures(tallies: readonly Tally[]): FailureReport {
  const kinds: Record<string, number> = {};
  for (const tally of tallies) {
    for (const [kind, count] of Object.entries(tally.kinds)) kinds[kind] = (kinds[kind] ?? 0) + count;
  }
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

export function aggregateTraining(events: readonly TrainEvent[]): TrainingReport {
  // A resumed trainer repeats the steps after its last checkpoint: the last telling of a step is the one that counts.
  const byStep = new Map<number, TrainStep>();
  for (const event of events) if (event.kind === 'step') byStep.set(event.step, event);
  const steps = [...byStep.values()].sort((a, b) => a.step - b.step);
  const rates = steps.map(({ second_try }) => second_try);
  const tenth = Math.ceil(rates.length / 10);
  const check = events.findLast((event) => event.kind === 'self_check');
  return {
    steps,
    second_try:
      rates.length === 0 ? null : { before: mean(rates.slice(0, tenth)), after: mean(rates.slice(-tenth)) },
    max_logprob_difference:
      steps.length === 0 ? null : Math.max(...steps.map((step) => step.logprob_difference)),
    self_check: check ? { inside: check.inside, outside: check.outside } : null,
    resumed: events.filter((event) => event.kind === 'resumed').length,
  };
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}
