import { expect, test } from 'vitest';
import { openLog } from '../../src/run/log.ts';
import { runPaths } from '../../src/run/paths.ts';
import { temporaryFolder } from '../workers/harness.ts';

test('a log that nothing can be written to ends nothing', () => {
  const log = openLog({ ...runPaths(temporaryFolder()), log: '/dev/full' });
  expect(() => log.info('lost')).not.toThrow();
});
