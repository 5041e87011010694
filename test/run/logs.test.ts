import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { GrowingFile, lastAttempts } from '../../src/run/logs.ts';
import { readLogTail } from '../../src/workers/log-tail.ts';
import { temporaryFolder } from '../workers/harness.ts';

test('a growing file gives each line once, wherever it was cut, and what is no UTF-8 is replaced', () => {
  const bytes = Buffer.concat([
    Buffer.from('ü😀\u2028\n\nbad: '),
    Buffer.from([0xff]),
    Buffer.from('\nrest'),
  ]);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const path = join(temporaryFolder(), 'log');
    const file = new GrowingFile(path);
    expect([...file.newLines()]).toEqual([]);
    writeFileSync(path, bytes.subarray(0, cut));
    const lines = [...file.newLines()];
    appendFileSync(path, bytes.subarray(cut));
    lines.push(...file.newLines());
    expect(lines).toEqual(['ü😀\u2028', '', 'bad: \ufffd']);
    expect(file.rest).toBe('rest');
    expect([...file.newLines()]).toEqual([]);
  }
});

test('a line may be longer than what is read at once', () => {
  const path = join(temporaryFolder(), 'log');
  const lines = ['x'.repeat(65_535), 'y'.repeat(200_000), 'z'];
  writeFileSync(path, `${lines.join('\n')}\n`);
  expect([...new GrowingFile(path).newLines()]).toEqual(lines);
});

test('the last attempt of each worker, in the order of numbers', () => {
  const logs = temporaryFolder();
  for (const name of ['sampler-10.1', 'sampler-2.9', 'sampler-2.10', 'prepare.1'])
    writeFileSync(join(logs, `${name}.stderr`), '');
  writeFileSync(join(logs, 'rrr.log'), '');
  expect([...lastAttempts(logs)]).toEqual(
    ['prepare.1', 'sampler-2.10', 'sampler-10.1'].map((name) => [
      name.replace(/\.\d+$/, ''),
      join(logs, `${name}.stderr`),
    ]),
  );
  expect([...lastAttempts(join(logs, 'none'))]).toEqual([]);
});

test('the tail of a log is its last 20 lines that say something, of its last 16 KiB', () => {
  const path = join(temporaryFolder(), 'log');
  expect(readLogTail(path)).toEqual([]);
  const lines = Array.from({ length: 30 }, (_, number) => `line ${number}`);
  writeFileSync(path, `${lines.join('\n\n')}\nno end`);
  expect(readLogTail(path)).toEqual([...lines.slice(-19), 'no end']);
  writeFileSync(path, `${'ü'.repeat(20_000)}\nlast\n`);
  const [cut, last] = readLogTail(path);
  expect(cut).toHaveLength(8189); // 16 KiB less "\nlast\n", whose start is half an ü
  expect(last).toBe('last');
});
