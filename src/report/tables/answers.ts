/** The rows that the renderers share on what the models wrote: verdicts by kind, reflections and their phrases. */
import { BASE, SECOND_TRY } from '../arms.ts';
import { lowerFirst, percent, share } from '../format.ts';
import type { ArmReport, BeforeAfter, ComparisonReport, DecodingReport, Phrase } from '../report.ts';
import type { Table, TitledTable } from '../table.ts';

/** Verdicts of what was compared, a table each. */
export function kindTables({ decoding, comparisons, arms }: DecodingReport): TitledTable[] {
  return comparisons.flatMap((comparison) => {
    const { label, kinds, result } = comparison;
    if (!kinds) return [];
    // Of several retries after a right one, the first that is right counts, and not the last one.
    const linked = comparison.outcome !== 'retry' || (arms[BASE]?.rounds.length ?? 0) <= 2;
    const rows = Object.entries(kinds);
    const shares = ({ before, after }: BeforeAfter<number>) =>
      [before, after].map((n) => n / (result.n || 1));
    return {
      title: `Verdicts, ${lowerFirst(label)}`,
      table: [
        ['verdict', 'before', 'after'],
        ...rows.map(([kind, counts]) => [
          kind,
          ...shares(counts).map(
            (rate, index) => `${percent(rate)} % (${[counts.before, counts.after][index]})`,
          ),
        ]),
      ],
      bars: rows.map(([, counts]) => [null, ...shares(counts)]),
      samples: rows.map(([kind]) => [
        null,
        ...[comparison.before, comparison.after].map((arm) =>
          linked ? linkTo(comparison, { decoding, arm }, kind) : null,
        ),
      ]),
    };
  });
}

/** The tries whose verdicts are counted: the arm's first ones, or its last ones where those are retries. */
function linkTo({ outcome }: ComparisonReport, place: { decoding: string; arm: string }, kind: string) {
  if (outcome === 'first') return { ...place, first: kind };
  return { ...place, last: kind, ...(outcome === 'retry' && place.arm === BASE && { first: 'wrong' }) };
}

/** Lengths on the same failed answers; the last line is on each model's own. */
export function reflectionTable({ arms }: DecodingReport): Table {
  const lengths = (arm: string) => (arms[arm] as ArmReport).reflections;
  const before = lengths(SECOND_TRY.before);
  const after = lengths(SECOND_TRY.after);
  const own = (arm: string) => share((arms[arm] as ArmReport).second_try);
  return [
    ['reflections', 'before', 'after'],
    ['mean length, tokens', before.mean.toFixed(1), after.mean.toFixed(1)],
    ['median length, tokens', `${before.median}`, `${after.median}`],
    ['cut off at the limit', `${percent(before.truncated)} %`, `${percent(after.truncated)} %`],
    ["second try on the model's own failures", own('base'), own('trained')],
  ];
}

/** Empty where there is nothing to tell. */
export function phraseTables({ decoding, phrases: found }: DecodingReport): TitledTable[] {
  if (!found || found.phrases.length === 0) return [];
  const { of, phrases } = found;
  const count = ({ n }: Phrase['before'], all: number) => `${percent(n / (all || 1))} % (${n}/${all})`;
  const rate = ({ n, passed }: Phrase['before']) => (n === 0 ? 'none' : `${percent(passed / n)} %`);
  return [
    {
      title: 'What reflections have in common',
      table: [
        ['phrase', 'before', 'after', 'passed before', 'passed after'],
        ...phrases.map(({ text, before, after }) => [
          text,
          count(before, of.before),
          count(after, of.after),
          rate(before),
          rate(after),
        ]),
      ],
      bars: phrases.map(({ before, after }) => [
        null,
        before.n / (of.before || 1),
        after.n / (of.after || 1),
        null,
        null,
      ]),
      samples: phrases.map(({ text }) => [
        null,
        ...[SECOND_TRY.before, SECOND_TRY.after].map((arm) => ({
          decoding,
          arm,
          part: 'reflection' as const,
          text,
        })),
        null,
        null,
      ]),
      note: "Phrases of two to five words: the most frequent ones and those that changed the most, from more to less frequent after training. Of both models' first reflections on the same failed answers; passed: retries that followed a reflection with the phrase. A phrase that goes with right retries need not be what makes them right.",
    },
  ];
}
