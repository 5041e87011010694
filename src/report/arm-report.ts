/** What an arm did, by itself. */
import type { Config } from '../config/schema.ts';
import type { EpisodeResult } from '../protocol/methods.ts';
import type { Arm } from './arms.ts';
import { type Case, firstPassed, PASSED, retryPassed } from './cases.ts';
import type { ArmReport, Lengths, Transitions } from './report.ts';
import { meanOverQueries } from './statistics/clustered.ts';
import { mean, median, passAtK, share } from './statistics.ts';

export function describeArm(
  { name, failuresOf }: Arm,
  cases: readonly Case[],
  { rounds, retry }: Pick<Config['eval'], 'rounds' | 'retry'>,
): ArmReport {
  const own = cases.flatMap(({ id, episodes }) => {
    const episode = episodes[name];
    return episode ? [{ id, episode }] : [];
  });
  const episodes = own.map(({ episode }) => episode);
  const failed = episodes.filter((episode) => !firstPassed(episode));
  return {
    second_try: share(failed.filter(retryPassed).length, failed.length),
    transitions: failuresOf === null ? countTransitions(episodes) : null,
    rounds: Array.from({ length: rounds + 1 }, (_, round) => describeRound(episodes, round, retry === 'all')),
    pass_at: failuresOf === null ? passAt(own) : [],
    reflections: measureReflections(failed),
    spent: measureSpending(failed),
  };
}

function countTransitions(episodes: readonly EpisodeResult[]): Transitions {
  const count = (first: boolean, last: boolean) =>
    episodes.filter((episode) => firstPassed(episode) === first && PASSED.last(episode) === last).length;
  return {
    right_right: count(true, true),
    right_wrong: count(true, false),
    wrong_right: count(false, true),
    wrong_wrong: count(false, false),
  };
}

function describeRound(episodes: readonly EpisodeResult[], round: number, ungated: boolean) {
  const upTo = episodes.map((episode) => ({ ...episode, rounds: episode.rounds.slice(0, round) }));
  const count = (passed: (episode: EpisodeResult) => boolean) =>
    share(upTo.filter(passed).length, upTo.length);
  return { gated: count(PASSED.any), ungated: ungated ? count(PASSED.last) : null };
}

function passAt(tries: readonly { id: string; episode: EpisodeResult }[]): ArmReport['pass_at'] {
  const passedOf = new Map(tries.map(({ id }) => [id, 0]));
  for (const { id, episode } of tries)
    if (firstPassed(episode)) passedOf.set(id, (passedOf.get(id) ?? 0) + 1);
  const counts = [...passedOf.values()];
  const samples = tries.length / counts.length;
  if (!(samples > 1)) return [];
  return Array.from({ length: Math.floor(Math.log2(samples)) + 1 }, (_, power) => 2 ** power).map((k) => ({
    k,
    ...meanOverQueries(
      counts.map((passed) => passAtK(samples, passed, k)),
      samples,
    ),
  }));
}

function measureSpending(failed: readonly EpisodeResult[]): ArmReport['spent'] {
  const made = failed.map(({ rounds }) =>
    rounds.flatMap(({ reflection, retry }) => (reflection ? [reflection, retry] : [retry])),
  );
  const prompts = made.flat().map(({ prompt_tokens }) => prompt_tokens);
  const sum = (counts: readonly (number | undefined)[]) =>
    counts.reduce<number>((total, count) => total + (count ?? 0), 0);
  const each = (total: number) => (failed.length === 0 ? 0 : total / failed.length);
  return {
    completion: each(sum(made.flat().map(({ tokens }) => tokens))),
    prompt: prompts.includes(undefined) ? null : each(sum(prompts)),
  };
}

function measureReflections(episodes: readonly EpisodeResult[]): Lengths {
  const reflections = episodes.flatMap(({ rounds }) => rounds.flatMap(({ reflection }) => reflection ?? []));
  const tokens = reflections.map(({ tokens }) => tokens);
  const n = tokens.length;
  const truncated = reflections.filter(({ finish_reason }) => finish_reason === 'length').length;
  return { n, mean: mean(tokens), median: median(tokens), truncated: n === 0 ? 0 : truncated / n };
}
