import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readManifest, updateManifest } from '../../src/run/manifest.ts';
import { runPaths } from '../../src/run/paths.ts';
import { temporaryFolder } from '../workers/harness.ts';

const manifest = { format: 2, rrr_version: '9.9.9', created: '', date: '2026-01-02', stages: {} };

function write(value: object) {
  const paths = runPaths(temporaryFolder());
  writeFileSync(paths.manifest, JSON.stringify(value));
  return paths;
}

test('a run directory says its format from the start', () => {
  const paths = runPaths(temporaryFolder());
  expect(readManifest(paths)).toBeUndefined();
  updateManifest(paths, () => {});
  expect(JSON.parse(readFileSync(paths.manifest, 'utf8'))).toMatchObject({ format: 2, stages: {} });
  expect(readManifest(paths)?.format).toBe(2);
});

test('this format is read, and what is changed in it leaves the rest', () => {
  const paths = write(manifest);
  expect(readManifest(paths)).toEqual(manifest);
  updateManifest(paths, (changed) => {
    changed.data_sha = 'abc';
  });
  expect(readManifest(paths)).toEqual({ ...manifest, data_sha: 'abc' });
});

test.each([
  ['no format', { ...manifest, format: undefined }, 'before run directories had a format number'],
  [
    'a newer one',
    { ...manifest, format: 3 },
    'has format 3, made by rrr 9.9.9; this rrr reads formats up to 2',
  ],
])('%s is refused, and nothing is written', (_name, value, message) => {
  const paths = write(value);
  const refused = expect.objectContaining({
    exitCode: 2,
    message: expect.stringContaining(message),
    cure: expect.stringContaining('--run DIR'),
  });
  expect(() => readManifest(paths)).toThrow(refused);
  expect(() => updateManifest(paths, () => {})).toThrow(refused);
  expect(JSON.parse(readFileSync(paths.manifest, 'utf8'))).toEqual(JSON.parse(JSON.stringify(value)));
});
