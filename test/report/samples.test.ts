/** The samples within the page: what is found by which criteria, and how queries and answers are shown. */
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { aggregate, allCases, withoutSamples } from '../../src/report/aggregate.ts';
import { renderHtml } from '../../src/report/html.ts';
import { filterCases } from '../../src/report/page/filter.ts';
import { TextSearch } from '../../src/report/page/search.ts';
import { fromHash, type Place, toHash } from '../../src/report/samples/criteria.ts';
import { describeQuery, showCalls } from '../../src/report/samples/describe.ts';
import { type Embedded, embedSamples } from '../../src/report/samples/embed.ts';
import type { EmbeddedCase } from '../../src/report/samples/embedded.ts';
import { input } from './fixture.ts';

const cases = allCases(input).flat();
const { index, data } = embedSamples(cases, input) as Embedded;

test.each<[criteria: Place, ids: string]>([
  [{ decoding: 'greedy', change: 'first_try.lost' }, 'q1'],
  [{ decoding: 'sampled', change: 'second_try.won' }, 'q4 q5 q6 q7 q8'],
  [{ decoding: 'sampled', arm: 'base', first: 'right' }, 'q0 q1'],
  [{ decoding: 'sampled', arm: 'base', first: 'wrong', last: 'passed' }, 'q2 q3'],
  [{ decoding: 'sampled', arm: 'trained_on_base', last: 'wrong_numbers' }, 'q2 q9 q10 q11'],
  [{ decoding: 'sampled', arm: 'base', part: 'reflection', from: 9 }, 'q2 q3 q4 q5 q6 q7 q8 q9 q10 q11'],
  [{ decoding: 'sampled', arm: 'trained', part: 'reflection', from: 6 }, ''],
  [{ decoding: 'sampled', cut: true }, ''],
  [{ decoding: 'sampled', first: 'no such kind' }, ''],
])('%j finds %s', (criteria, ids) => {
  expect(filterCases(index, criteria).map((number) => index.columns.id[number])).toEqual(
    ids.split(' ').filter(Boolean),
  );
  expect(fromHash(toHash(criteria))).toEqual(criteria);
});

test('text is found without regard to case, in the arm and the part that are asked for', () => {
  const search = new TextSearch();
  const blocks = data
    .slice(1)
    .map((block) => JSON.parse(gunzipSync(Buffer.from(block, 'base64')).toString()));
  for (const [number, cases] of (blocks as EmbeddedCase[][]).entries())
    search.add(index.blocks[number] as number, cases);
  const find = (criteria: Place) =>
    [...search.find(criteria)].map((number) => index.columns.id[number]).slice(0, 3);
  expect(find({ text: 'LONG words' })).toEqual(['q2', 'q3', 'q4']);
  expect(find({ text: 'long words', arm: 'trained' })).toEqual([]);
  expect(find({ text: 'try * first', arm: 'trained_on_base', part: 'reflection' })).toEqual([
    'q2',
    'q3',
    'q4',
  ]);
  expect(find({ text: 'try * first', part: 'retry' })).toEqual([]);
  expect(find({ text: 'nums: 1, 2, 7 ' })).toEqual(['q7', 'q7']);
});

test('what is more than a page holds is left out, and the page says so', () => {
  expect(embedSamples(cases, input, 5000)).toBeNull();
  expect(renderHtml(aggregate(input), null)).toContain('more than a page holds');
  expect(renderHtml(withoutSamples(aggregate(input)), null)).not.toContain('more than a page holds');
});

test('a hash that is of no sample is none', () => {
  expect(fromHash('#training')).toBeNull();
  expect(fromHash('#samples?part=elsewhere&cut=true')).toEqual({ cut: true });
});

test('tools and calls are shown as code', () => {
  const fields = {
    query: 'Light,\n please',
    tools: [
      { name: 'light', description: 'Dim it.', parameters: { room: { type: 'str' }, to: { type: 'int' } } },
    ],
    answers: '[{"name": "light", "arguments": {"room": "hall", "to": 7}}]',
  };
  expect(describeQuery(JSON.stringify(fields))).toEqual({
    title: 'Light, please',
    more: [
      ['tools', 'light(room: str, to: int)  # Dim it.'],
      ['expected', 'light(room="hall", to=7)'],
    ],
  });
  expect(describeQuery('{"nums":[1,2],"target":6}').title).toBe('nums: 1, 2 · target: 6');
});

test.each([
  ['<tool_call>\n{"name": "f", "arguments": {"a": [1, "x"]}}\n</tool_call> done', 'f(a=[1,"x"]) done'],
  ['{"name": "f", "parameters": {}}', 'f()'],
  ['<tool_call>{"name": }</tool_call>', '<tool_call>{"name": }</tool_call>'],
  ['[1, 2]', '[1, 2]'],
  ['3 * 4', '3 * 4'],
])('%s is shown as %s', (text, shown) => {
  expect(showCalls(text)).toBe(shown);
});
