import { mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeDirectory } from '../../src/run/directory.ts';
import { temporaryFolder } from '../workers/harness.ts';

test('a run directory is made with the folders above it, and may be there', () => {
  const run = join(temporaryFolder(), 'a/b/run');
  makeDirectory(run);
  makeDirectory(run);
  expect(statSync(run).isDirectory()).toBe(true);
});

test('a link to a folder will do', () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'disk'));
  symlinkSync('disk', join(folder, 'runs'));
  makeDirectory(join(folder, 'runs/a'));
  expect(statSync(join(folder, 'disk/a')).isDirectory()).toBe(true);
});

test.each([
  ['file', 'file is a file, no directory'],
  ['file/run', 'file is a file, no directory'],
  ['dangling', 'dangling is a link to nothing'],
  ['dangling/run', 'dangling is a link to nothing'],
  ['/proc/nope', "/proc/nope can't be made: no such file or directory"],
  ['/proc/nope/run', "/proc/nope can't be made: no such file or directory"],
  ['/dev/null/run', '/dev/null is a file, no directory'],
])('%s is refused at once', (path, message) => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'file'), '');
  symlinkSync('nowhere', join(folder, 'dangling'));
  const run = path.startsWith('/') ? path : join(folder, path);
  const error = (() => {
    try {
      makeDirectory(run);
    } catch (error) {
      return error;
    }
  })();
  expect(error).toMatchObject({ exitCode: 2, message: expect.stringContaining(message) });
});
