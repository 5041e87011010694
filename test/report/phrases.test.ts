import { expect, test } from 'vitest';
import { findPhrases } from '../../src/report/phrases.ts';

const reflections = (...texts: string[]) => texts.map((text) => ({ text, passed: text.includes('!') }));

test('tells what many reflections say, with how many of their retries passed, and no part of a longer phrase', () => {
  const { of, phrases } = findPhrases({
    before: reflections('I was careless.', 'I was careless!', '(I was careless) with 3'),
    after: reflections('Begin with 4*5!', 'begin here', 'Begin with 4+5.', 'I was too quick'),
  });
  expect(of).toEqual({ before: 3, after: 4 });
  expect(phrases).toEqual([
    { text: 'Begin with', before: { n: 0, passed: 0 }, after: { n: 2, passed: 1 } },
    { text: 'I was', before: { n: 3, passed: 1 }, after: { n: 1, passed: 0 } },
    { text: 'I was careless', before: { n: 3, passed: 1 }, after: { n: 0, passed: 0 } },
  ]);
});

test('a phrase counts once a reflection; of many, those that are frequent or changed are told', () => {
  const many = Array.from({ length: 300 }, (_, i) => `word${i % 30} again word${i % 30} again, number ${i}`);
  const { phrases } = findPhrases({
    before: reflections(...many),
    after: reflections('word1 again', 'word1 again!'),
  });
  expect(phrases[0]).toEqual({
    text: 'word1 again',
    before: { n: 10, passed: 0 },
    after: { n: 2, passed: 1 },
  });
  expect(phrases.length).toBeLessThanOrEqual(16);
  expect(findPhrases({ before: [], after: [] }).phrases).toEqual([]);
});
