import { join } from 'node:path';
import { expect, test } from 'vitest';
import { JsonText } from '../../src/protocol/jsonl.ts';
import type { EpisodeResult, Query } from '../../src/protocol/methods.ts';
import type { Arm } from '../../src/report/arms.ts';
import { Ledger } from '../../src/stages/evaluate/ledger.ts';
import { attempt, episode } from '../report/fixture.ts';
import { temporaryFolder } from '../workers/harness.ts';

const BASE: Arm = { label: '', name: 'base', model: 'base', failuresOf: null, follows: { kind: 'reflect' } };
const AGAIN: Arm = { ...BASE, name: 'again', failuresOf: 'base' };
const queries: Query[] = ['a', 'b', 'c'].map((id, index) => ({ id, index, fields: new JsonText('{}') }));

test("an arm owes what is not done, and on another arm's failures only what failed there, also when opened again", async () => {
  const path = join(temporaryFolder(), 'journal.jsonl');
  let ledger = await Ledger.open(path);
  const owed = (arm: Arm, ...decodings: ('sampled' | 'greedy')[]) =>
    ledger
      .owed(
        arm,
        decodings.map((decoding) => ({ decoding, samples: 1 })),
        queries,
      )
      .map(({ decoding, query, failedAnswer }) => [decoding, query.id, failedAnswer].join(' '));
  expect(owed(BASE, 'sampled', 'greedy')).toEqual([
    'sampled a ',
    'sampled b ',
    'sampled c ',
    'greedy a ',
    'greedy b ',
    'greedy c ',
  ]);
  expect(owed(AGAIN, 'sampled', 'greedy')).toEqual([]);

  const failed = (answer: string) => ({ first: attempt(false, 'missed_target', answer), rounds: [] });
  ledger.append({ arm: 'base', decoding: 'sampled', sample: 0, id: 'a', episode: episode(true) });
  ledger.append({ arm: 'base', decoding: 'sampled', sample: 0, id: 'b', episode: failed('1') });
  ledger.append({ arm: 'base', decoding: 'greedy', sample: 0, id: 'c', episode: failed('2') });
  for (const _opened of ['once', 'again']) {
    expect(owed(BASE, 'sampled', 'greedy')).toEqual(['sampled c ', 'greedy a ', 'greedy b ']);
    expect(owed(AGAIN, 'sampled', 'greedy')).toEqual(['sampled b 1', 'greedy c 2']);
    expect(owed(AGAIN, 'greedy')).toEqual(['greedy c 2']);
    ledger.close();
    ledger = await Ledger.open(path);
  }

  ledger.append({ arm: 'again', decoding: 'sampled', sample: 0, id: 'b', episode: episode(null, false) });
  expect(owed(AGAIN, 'sampled', 'greedy')).toEqual(['greedy c 2']);
  ledger.close();
});

/** What the arm is given on each query that it goes on from. */
async function given(follows: Arm['follows'], episodes: Record<string, EpisodeResult>) {
  const ledger = await Ledger.open(join(temporaryFolder(), 'journal.jsonl'));
  const note = (arm: string, id: string, made: EpisodeResult) =>
    ledger.append({ arm, decoding: 'sampled', sample: 1, id, episode: made });
  for (const { id } of queries) note('base', id, episodes[id] ? episode(false) : episode(true));
  for (const [id, made] of Object.entries(episodes)) note('source', id, made);
  const owed = ledger.owed({ ...AGAIN, follows }, [{ decoding: 'sampled', samples: 2 }], queries);
  ledger.close();
  return Object.fromEntries(
    owed.map(({ query, sample, reflection, tokens }) => [query.id, { sample, reflection, tokens }]),
  );
}

const reflecting = (words: string, tokens = 5) => episode(null, false, words, tokens);
const REFUSED: EpisodeResult = { first: null, rounds: [{ reflection: null, retry: attempt(false) }] };

test("an arm is given the reflection of its own query, a donor's arm that of the next one, the last the first's", async () => {
  const episodes = { a: reflecting('on a'), b: reflecting('on b'), c: reflecting('on c') };
  const own = await given({ kind: 'given', by: 'source', on: 'the same query' }, episodes);
  expect(own).toMatchObject({
    a: { reflection: 'on a' },
    b: { reflection: 'on b' },
    c: { reflection: 'on c' },
  });
  const donated = await given({ kind: 'given', by: 'source', on: 'another query' }, episodes);
  expect(donated).toMatchObject({
    a: { reflection: 'on b', sample: 1 },
    b: { reflection: 'on c' },
    c: { reflection: 'on a' },
  });
});

test('what has no reflection to be given is left out, and nobody is a donor of its own', async () => {
  const same = { kind: 'given', by: 'source', on: 'the same query' } as const;
  expect(Object.keys(await given(same, { a: REFUSED, b: reflecting('on b') }))).toEqual(['b']);
  const another = { ...same, on: 'another query' } as const;
  expect(await given(another, { a: reflecting('on a'), b: REFUSED, c: reflecting('on c') })).toMatchObject({
    a: { reflection: 'on c' },
    c: { reflection: 'on a' },
  });
  expect(await given(another, { a: reflecting('on a'), b: REFUSED })).toEqual({});
});

test('samples may spend the tokens of reflection and retry, or those of one', async () => {
  const episodes = { a: reflecting('on a', 9), b: REFUSED };
  expect(await given({ kind: 'sample', spendAs: 'source' }, episodes)).toMatchObject({
    a: { tokens: 9 + 4 },
    b: { tokens: 4 },
  });
  expect(await given({ kind: 'sample', spendAs: null }, episodes)).toMatchObject({ a: { tokens: 1 } });
});
