import { expect, test } from 'vitest';
import { aggregate, allComparisons } from '../../src/report/aggregate.ts';
import { renderHtml } from '../../src/report/html.ts';
import { renderMarkdown } from '../../src/report/markdown.ts';
import { holm, mcnemarExact } from '../../src/report/statistics.ts';
import { renderTerminal } from '../../src/report/terminal.ts';
import { attempt, input } from './fixture.ts';

/** The comparisons by their names, and the arms, under sampled decoding. */
function sampled() {
  const [report] = aggregate(input).decodings;
  if (!report) throw new Error('no decoding');
  const find = (name: string) => {
    const comparison = report.comparisons.find((each) => each.name === name);
    if (!comparison) throw new Error(`no comparison ${name}`);
    return comparison;
  };
  return { ...report, find };
}

test('counts first tries, second tries on the same failed answers, and both together', () => {
  const { arms, find } = sampled();
  expect(find('first_try').result).toMatchObject({
    n: 12,
    both: 1,
    only_before: 1,
    only_after: 2,
    neither: 8,
  });
  const second = find('second_try').result;
  expect(second).toMatchObject({ n: 10, both: 1, only_before: 1, only_after: 5, neither: 3 });
  expect(second.before).toMatchObject({ k: 2, n: 10 });
  expect(second.after).toMatchObject({ k: 6, n: 10 });
  expect(second.p_value).toBe(mcnemarExact(1, 5));
  // After training nine fail at first: 1, 4, ... 11, of which the odd ones pass at their own second try.
  expect(arms.trained?.second_try).toMatchObject({ k: 5, n: 9 });
  expect(find('overall').result.before.k).toBe(4);
  expect(find('overall').result.after.k).toBe(8);
});

test('counts verdicts and measures reflections of the same failures', () => {
  const { arms, find, examples } = sampled();
  expect(find('first_try').kinds).toEqual({
    missed_target: { before: 10, after: 9 },
    passed: { before: 2, after: 3 },
  });
  expect(find('second_try').kinds).toEqual({
    wrong_numbers: { before: 8, after: 4 },
    passed: { before: 2, after: 6 },
  });
  expect(find('overall').kinds).toBeNull();
  expect(arms.base?.reflections).toEqual({ n: 10, mean: 9, median: 9, truncated: 0 });
  expect(arms.trained_on_base?.reflections.mean).toBe(5);
  expect(examples.map(({ id }) => id)).toEqual(['q2', 'q3']);
});

test('sums the tallies, and a resumed trainer does not count a step twice', () => {
  const { failures, training } = aggregate(input);
  expect(failures).toMatchObject({
    queries: 3,
    kept: 2,
    kinds: { passed: 66, missed_target: 1, wrong_numbers: 1 },
  });
  expect(failures.draws).toMatchObject({ k: 2, n: 68 });
  expect(training.steps.map(({ step }) => step)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  expect(training.steps.at(-1)?.second_try).toBeCloseTo(0.29);
  expect(training.resumed).toBe(1);
});

test('the order of the journal does not matter; a query without its records is an error', () => {
  expect(aggregate({ ...input, records: input.records.toReversed() })).toEqual(aggregate(input));
  expect(() => aggregate({ ...input, records: input.records.slice(1) })).toThrow(
    'no sampled evaluation of query q0',
  );
});

test('p-values are adjusted for all comparisons of the report, under both decodings', () => {
  const all = aggregate(input).decodings.flatMap(allComparisons);
  const p = all.map(({ result }) => result.p_value);
  expect(p).toHaveLength(6);
  expect(all.map(({ adjusted_p }) => adjusted_p)).toEqual(holm(p));
  expect(all.map(({ adjusted_p }) => adjusted_p)).not.toEqual(p);
});

test('text for terminals and Markdown', () => {
  expect(renderTerminal(aggregate(input))).toMatchSnapshot();
  expect(renderMarkdown(aggregate(input))).toMatchSnapshot();
});

test('the page loads nothing and model text stays text', () => {
  const evil = '<script>alert(1)</script>"\'&<img src=x onerror=alert(2)>';
  const records = input.records.map((record) => ({
    ...record,
    episode: {
      first: record.episode.first && attempt(record.episode.first.verdict.passed, evil, evil),
      rounds: record.episode.rounds.map(({ reflection, retry }) => ({
        reflection: reflection && { ...reflection, completion: evil },
        retry: attempt(retry.verdict.passed, evil, evil),
      })),
    },
  }));
  const page = renderHtml(aggregate({ ...input, records, trainedModel: evil }), null);
  expect(page).not.toMatch(/<script|<img|<iframe|<link|@import/i);
  expect(page).not.toMatch(/\b(src|href)\s*=\s*["'](?!#)/i);
  expect(page).not.toMatch(/url\((?!['"]?#)/i);
  expect(page.match(/&lt;script&gt;/g)?.length).toBeGreaterThan(5);
  expect(page.match(/<svg/g)?.length).toBe(15);
});
