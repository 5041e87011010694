/** Lengths of answers and reflections in tokens, as histograms. */
import type { EpisodeResult } from '../protocol/methods.ts';
import { type Arm, BASE, SECOND_TRY, TRAINED } from './arms.ts';
import { among, type Case } from './cases.ts';
import type { BeforeAfter, Histogram } from './report.ts';

const MOST_BINS = 16;

export function measureLengths(cases: readonly Case[]): Histogram[] {
  const failures = among(SECOND_TRY, cases);
  const lengths = (some: readonly Case[], arm: Arm['name'], of: (episode: EpisodeResult) => number[]) =>
    some.flatMap(({ episodes }) => (episodes[arm] ? of(episodes[arm]) : []));
  const rounds = (part: 'reflection' | 'retry') => (arm: string) =>
    lengths(failures, arm, (episode) => episode.rounds.flatMap((round) => round[part]?.tokens ?? []));
  const first = (arm: string) => lengths(cases, arm, ({ first }) => (first ? [first.tokens] : []));
  return [
    bin('First answers', { before: first(BASE), after: first(TRAINED) }),
    ...(['reflection', 'retry'] as const).map((part) =>
      bin(part === 'reflection' ? 'Reflections on the same failures' : 'Retries on the same failures', {
        before: rounds(part)(SECOND_TRY.before),
        after: rounds(part)(SECOND_TRY.after),
      }),
    ),
  ].filter(({ before, after }) => before.n + after.n > 0);
}

function bin(title: string, lengths: BeforeAfter<readonly number[]>): Histogram {
  const longest = Math.max(0, ...[lengths.before, lengths.after].map(maximum));
  const width = widthFor(longest);
  const count = (values: readonly number[]) => {
    const bins = Array.from({ length: Math.floor(longest / width) + 1 }, () => 0);
    for (const value of values) (bins[Math.floor(value / width)] as number)++;
    return { n: values.length, bins };
  };
  return { title, width, before: count(lengths.before), after: count(lengths.after) };
}

// Not Math.max(...values): a call takes no hundred thousand arguments.
const maximum = (values: readonly number[]) => values.reduce((most, value) => Math.max(most, value), 0);

/** 1, 2 or 5 times a power of ten. */
function widthFor(longest: number): number {
  for (let power = 1; ; power *= 10)
    for (const step of [1, 2, 5]) if (Math.floor(longest / (step * power)) < MOST_BINS) return step * power;
}
