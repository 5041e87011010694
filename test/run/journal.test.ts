import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { trainEvent } from '../../src/protocol/methods.ts';
import { replaceLines } from '../../src/run/files.ts';
import { Journal, readLines } from '../../src/run/journal.ts';
import { TrainEvents } from '../../src/stages/train/events.ts';
import { temporaryFolder } from '../workers/harness.ts';

async function collect(lines: AsyncIterable<unknown>): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const line of lines) all.push(line);
  return all;
}

test('a line is found again where it was written', async () => {
  const path = join(temporaryFolder(), 'journal.jsonl');
  const journal = await Journal.open(path);
  const records = ['a', 'ü\u2028😀', 'x'.repeat(100_000)].map((text, number) => ({ number, text }));
  const places = records.map((record) => journal.append(record));
  expect(places.map((place) => journal.readAt(place))).toEqual(records);
  journal.close();
  const replayed: [unknown, number][] = [];
  (await Journal.open(path, (record, offset) => replayed.push([record, offset]))).close();
  expect(replayed).toEqual(records.map((record, number) => [record, places[number]]));
});

test('after a cut, lines are written and found where the cut was', async () => {
  const path = join(temporaryFolder(), 'journal.jsonl');
  const journal = await Journal.open(path);
  const [, second] = [1, 2, 3].map((number) => journal.append({ number }));
  journal.truncate(second as number);
  expect(journal.append({ number: 4 })).toBe(second);
  expect(journal.readAt(second as number)).toEqual({ number: 4 });
  expect(() => journal.readAt(10_000)).toThrow(`${path}: no whole line at byte 10000`);
  journal.close();
  expect(await collect(readLines(path))).toEqual([{ number: 1 }, { number: 4 }]);
});

test('a torn last line is dropped, at whatever byte it was torn, and can be written again', async () => {
  const path = join(temporaryFolder(), 'journal.jsonl');
  const last = Buffer.from(`${JSON.stringify({ text: 'ü😀' })}\n`);
  for (let bytes = 1; bytes < last.length; bytes++) {
    writeFileSync(path, '{"text":"whole"}\n');
    appendFileSync(path, last.subarray(0, bytes));
    expect(await collect(readLines(path))).toEqual([{ text: 'whole' }]);
    const journal = await Journal.open(path);
    expect(readFileSync(path, 'utf8')).toBe('{"text":"whole"}\n');
    const place = journal.append({ text: 'ü😀' });
    expect(journal.readAt(place)).toEqual({ text: 'ü😀' });
    journal.close();
    expect(await collect(readLines(path))).toEqual([{ text: 'whole' }, { text: 'ü😀' }]);
  }
});

test('a broken line before the last one is an error that names its place', async () => {
  const path = join(temporaryFolder(), 'journal.jsonl');
  writeFileSync(path, '{"a":1}\n{"a":\n{"a":3}\n');
  await expect(Journal.open(path)).rejects.toThrow(`${path}, line 2: not JSON: {"a":`);
});

test('a file that replaces another appears whole or not at all', async () => {
  const path = join(temporaryFolder(), 'rows.jsonl');
  await replaceLines(
    path,
    (async function* () {
      yield { a: 1 };
      yield { a: 2 };
    })(),
  );
  async function* failing() {
    yield { a: 3 };
    throw new Error('no more');
  }
  await expect(replaceLines(path, failing())).rejects.toThrow('no more');
  expect(readFileSync(path, 'utf8')).toBe('{"a":1}\n{"a":2}\n');
});

const step = (number: number, value = 0) =>
  trainEvent.parse({
    kind: 'step',
    step: number,
    ...Object.fromEntries(
      [
        'reward',
        'second_try',
        'reward_std',
        'kl',
        'loss',
        'grad_norm',
        'learning_rate',
        'reflection_tokens',
        'reflection_truncated',
        'logprob_difference',
        'tokens_per_second',
        'seconds',
      ].map((key) => [key, value]),
    ),
  });
const checkpoint = (number: number) => trainEvent.parse({ kind: 'checkpoint', step: number, path: 'c' });

async function told(path: string): Promise<string[]> {
  return (await collect(readLines(path))).map((line) => {
    const event = trainEvent.parse(line);
    return 'step' in event ? `${event.kind} ${event.step}` : event.kind;
  });
}

test('steps after the checkpoint that training goes on from are told once', async () => {
  const path = join(temporaryFolder(), 'events.jsonl');
  let events = await TrainEvents.open(path);
  for (const event of [step(1), step(2), checkpoint(2), step(3)]) events.add(event);
  events.close();
  expect(existsSync(path)).toBe(true);
  events = await TrainEvents.open(path);
  expect(events.lastStep).toBe(3);
  for (const event of [{ kind: 'resumed', step: 2, path: 'c' } as const, step(3), step(4)]) events.add(event);
  expect(events.furthest).toBe(4);
  events.close();
  expect(await told(path)).toEqual(['step 1', 'step 2', 'checkpoint 2', 'resumed 2', 'step 3', 'step 4']);
});

test('without a checkpoint all steps are told again', async () => {
  const path = join(temporaryFolder(), 'events.jsonl');
  const events = await TrainEvents.open(path);
  const check = { kind: 'self_check', inside: 1, outside: 0 } as const;
  for (const event of [check, step(1), step(2), check, step(1)]) events.add(event);
  expect(events.furthest).toBe(2);
  events.close();
  expect(await told(path)).toEqual(['self_check', 'step 1']);
});

test('of steps that were told twice the last telling counts, in memory as in the file', async () => {
  const path = join(temporaryFolder(), 'events.jsonl');
  let events = await TrainEvents.open(path);
  for (const number of [1, 2, 3]) events.add(step(number, 0.1));
  events.add({ kind: 'resumed', step: 1, path: 'c' });
  expect(events.lastStep).toBe(1);
  expect(events.furthest).toBe(3);
  for (const number of [2, 3]) events.add(step(number, 0.7));
  for (const _opened of ['once', 'again']) {
    expect(events.steps).toEqual([step(1, 0.1), step(2, 0.7), step(3, 0.7)]);
    events.close();
    events = await TrainEvents.open(path);
  }
  events.close();
});
