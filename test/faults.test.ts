/** The quick half of the fault matrix, as a person runs it: scripts/faults.mjs. */
import { resolve } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';

test('rrr keeps its promises under the faults of scripts/faults.mjs --quick', {
  timeout: 300_000,
}, async () => {
  const { stdout, stderr } = await execa(process.execPath, [resolve('scripts/faults.mjs'), '--quick'], {
    reject: false,
  });
  const lines = stdout.split('\n');
  // The message tells the seed.
  expect(lines.filter((line) => !line.startsWith('| ok |')).slice(2, -1), stderr).toEqual([]);
  const { faults, ok } = JSON.parse(lines.at(-1) ?? '');
  expect(ok).toBe(faults);
  expect(faults).toBeGreaterThanOrEqual(15);
});
