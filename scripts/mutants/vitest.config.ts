/** The tests that start no process: the only ones whose subjects npm run mutants may change. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: [
      'test/{config,report,terminal}/**/*.test.ts',
      'test/stages/pass-rate.test.ts',
      'test/protocol.test.ts',
    ],
  },
});
