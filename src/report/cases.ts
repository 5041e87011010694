/** The records of an evaluation, put together by query, and what passed in an episode. */
import type { Attempt, EpisodeResult } from '../protocol/methods.ts';
import { type Arm, BASE, type Comparison, type Mode } from './arms.ts';
import type { Decoding, Example, ReportInput } from './report.ts';

/** One sample of a query under one decoding: an episode for each arm that has one, by the arm's name. */
export interface Case {
  id: string;
  /** From 0. */
  sample: number;
  decoding: Decoding;
  fields: Example['fields'];
  episodes: Record<string, EpisodeResult>;
}

/**
 * In the order of the samples and, within one, of the queries. Throws where an arm lacks a query that it must have; of an
 * unfinished evaluation, such tries are left out.
 */
export function casesOf(
  arms: readonly Arm[],
  { decoding, samples }: Mode,
  { queries, records, unfinished }: Pick<ReportInput, 'queries' | 'records' | 'unfinished'>,
): Case[] {
  const found = new Map<string, EpisodeResult>();
  for (const { arm, sample, id, episode, ...record } of records)
    if (record.decoding === decoding) found.set(`${arm} ${sample} ${id}`, episode);
  return Array.from({ length: samples }, (_, sample) =>
    queries.flatMap(({ id, fields }) => {
      const episodes: Case['episodes'] = {};
      for (const arm of arms) {
        const episode = found.get(`${arm.name} ${sample} ${id}`);
        if (episode) episodes[arm.name] = episode;
        else if (unfinished && !hasPassed(arm, episodes)) return [];
        else if (!mayLack(arm, episodes)) throw new Error(`no ${decoding} evaluation of query ${id}`);
      }
      return [{ id, sample, decoding, fields, episodes }];
    }),
  ).flat();
}

/** Nothing follows a first try that passed, and a reflection that there is not can't be given. */
function mayLack(arm: Arm, episodes: Case['episodes']): boolean {
  return hasPassed(arm, episodes) || arm.follows.kind === 'given';
}

function hasPassed({ failuresOf }: Arm, episodes: Case['episodes']): boolean {
  return failuresOf !== null && firstPassed(episodes[failuresOf]);
}

export const firstPassed = (episode: EpisodeResult | undefined) => episode?.first?.verdict.passed === true;
export const retryPassed = (episode: EpisodeResult | undefined) =>
  episode?.rounds.some(({ retry }) => retry.verdict.passed) === true;
export const lastOf = (episode: EpisodeResult | undefined) => episode?.rounds.at(-1)?.retry ?? episode?.first;

export const PASSED: Record<Comparison['outcome'], (episode: EpisodeResult | undefined) => boolean> = {
  first: firstPassed,
  retry: retryPassed,
  any: (episode) => firstPassed(episode) || retryPassed(episode),
  last: (episode) => lastOf(episode)?.verdict.passed === true,
};

/** The try that an outcome is about, where it is about one. */
export function triedFor(
  outcome: Comparison['outcome'],
  episode: EpisodeResult | undefined,
): Attempt | undefined {
  if (outcome === 'first') return episode?.first ?? undefined;
  if (outcome === 'last') return lastOf(episode) ?? undefined;
  return (episode?.rounds.find(({ retry }) => retry.verdict.passed) ?? episode?.rounds.at(-1))?.retry;
}

export function among({ among }: Comparison, cases: readonly Case[]): readonly Case[] {
  return among === 'all' ? cases : cases.filter(({ episodes }) => !firstPassed(episodes[BASE]));
}
