import { expect, test } from 'vitest';
import { aggregate } from '../../src/report/aggregate.ts';
import { renderHtml } from '../../src/report/html.ts';
import { renderMarkdown } from '../../src/report/markdown.ts';
import { mcnemarExact } from '../../src/report/statistics.ts';
import { renderTerminal } from '../../src/report/terminal.ts';
import { attempt, episode, input } from './fixture.ts';

test('counts first tries, second tries on the same failed answers, and both together', () => {
  const [sampled] = aggregate(input).modes;
  expect(sampled?.first_try).toMatchObject({ n: 12, both: 1, only_before: 1, only_after: 2, neither: 8 });
  expect(sampled?.second_try).toMatchObject({ n: 10, both: 1, only_before: 1, only_after: 5, neither: 3 });
  expect(sampled?.second_try.before).toMatchObject({ k: 2, n: 10 });
  expect(sampled?.second_try.after).toMatchObject({ k: 6, n: 10 });
  expect(sampled?.second_try.p_value).toBe(mcnemarExact(1, 5));
  // After training nine fail at first: 1, 4, ... 11, of which the odd ones pass at their own second try.
  expect(sampled?.own_second_try.after).toMatchObject({ k: 5, n: 9 });
  expect(sampled?.overall.before.k).toBe(4);
  expect(sampled?.overall.after.k).toBe(8);
});

test('counts verdicts and measures reflections of the same failures', () => {
  const [sampled] = aggregate(input).modes;
  expect(sampled?.first_try_kinds).toEqual({
    missed_target: { before: 10, after: 9 },
    passed: { before: 2, after: 3 },
  });
  expect(sampled?.second_try_kinds).toEqual({
    wrong_numbers: { before: 8, after: 4 },
    passed: { before: 2, after: 6 },
  });
  expect(sampled?.reflections.before).toEqual({ n: 10, mean: 9, median: 9, truncated: 0 });
  expect(sampled?.reflections.after.mean).toBe(5);
  expect(sampled?.examples.map(({ id }) => id)).toEqual(['q2', 'q3']);
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

test('the verdict says whether a gain holds greedily, and whether this was the control', () => {
  const gain = input.records.map((record) =>
    record.answer === 'base' ? { ...record, episode: episode(null, true) } : record,
  );
  const sampledOnly = input.records.map((record, i) =>
    record.mode === 'sampled' ? (gain[i] ?? record) : record,
  );
  const say = (records: typeof input.records, reward: 'verifier' | 'shuffled') =>
    aggregate({
      ...input,
      records,
      config: { ...input.config, train: { ...input.config.train, reward } },
    }).verdict.join('\n');
  expect(say(gain, 'verifier')).toContain('holds under greedy decoding');
  expect(say(sampledOnly, 'verifier')).toContain('does not hold under greedy decoding');
  expect(say(input.records, 'verifier')).toContain('no change shown');
  expect(say(input.records, 'shuffled')).toContain('should not gain, and it did not');
  expect(say(gain, 'shuffled')).toContain('distrust every gain');
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
      reflection: record.episode.reflection && { ...record.episode.reflection, completion: evil },
      second: record.episode.second && attempt(record.episode.second.verdict.passed, evil, evil),
    },
  }));
  const page = renderHtml(aggregate({ ...input, records, model: evil }));
  expect(page).not.toMatch(/<script|<img|<iframe|<link|@import/i);
  expect(page).not.toMatch(/\b(src|href)\s*=\s*["'](?!#)/i);
  expect(page).not.toMatch(/url\((?!['"]?#)/i);
  expect(page.match(/&lt;script&gt;/g)?.length).toBeGreaterThan(5);
  expect(page.match(/<svg/g)?.length).toBe(5);
});
