import { join } from 'node:path';
import { expect, test } from 'vitest';
import { JsonText } from '../../src/protocol/jsonl.ts';
import type { Query } from '../../src/protocol/methods.ts';
import type { Arm } from '../../src/report/arms.ts';
import { Ledger } from '../../src/stages/evaluate/ledger.ts';
import { attempt, episode } from '../report/fixture.ts';
import { temporaryFolder } from '../workers/harness.ts';

const BASE: Arm = { name: 'base', model: 'base', failuresOf: null, rounds: 1 };
const AGAIN: Arm = { name: 'again', model: 'base', failuresOf: 'base', rounds: 1 };
const queries: Query[] = ['a', 'b', 'c'].map((id, index) => ({ id, index, fields: new JsonText('{}') }));

test("an arm owes what is not done, and on another arm's failures only what failed there, also when opened again", async () => {
  const path = join(temporaryFolder(), 'journal.jsonl');
  let ledger = await Ledger.open(path);
  const owed = (arm: Arm, ...decodings: ('sampled' | 'greedy')[]) =>
    ledger
      .owed(arm, decodings, queries)
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
  ledger.append({ arm: 'base', decoding: 'sampled', id: 'a', episode: episode(true) });
  ledger.append({ arm: 'base', decoding: 'sampled', id: 'b', episode: failed('1') });
  ledger.append({ arm: 'base', decoding: 'greedy', id: 'c', episode: failed('2') });
  for (const _opened of ['once', 'again']) {
    expect(owed(BASE, 'sampled', 'greedy')).toEqual(['sampled c ', 'greedy a ', 'greedy b ']);
    expect(owed(AGAIN, 'sampled', 'greedy')).toEqual(['sampled b 1', 'greedy c 2']);
    expect(owed(AGAIN, 'greedy')).toEqual(['greedy c 2']);
    ledger.close();
    ledger = await Ledger.open(path);
  }

  ledger.append({ arm: 'again', decoding: 'sampled', id: 'b', episode: episode(null, false) });
  expect(owed(AGAIN, 'sampled', 'greedy')).toEqual(['greedy c 2']);
  ledger.close();
});
