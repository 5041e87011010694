import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // The tests of the command line run what a user runs: dist/main.js.
    globalSetup: 'test/build.ts',
    // Most tests start real processes, which a busy machine slows tenfold.
    testTimeout: 60_000,
    // They mostly wait for them.
    maxWorkers: 2,
  },
});
