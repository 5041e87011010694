/** Chance that can be repeated: a test that failed prints its seed, RRR_TEST_SEED sets it. */
import { onTestFailed } from 'vitest';

/** Numbers from 0 to below 1 (mulberry32). To be called in a test. */
export function seededRandom(): () => number {
  const seed = Number(process.env.RRR_TEST_SEED ?? Date.now() % 2 ** 32);
  onTestFailed(() => void process.stderr.write(`RRR_TEST_SEED=${seed}\n`));
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
