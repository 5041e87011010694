import { execa } from 'execa';
import { expect, test } from 'vitest';

/** No times: they are the machine's. That every row is answered, and that what is told has its shape. */
test('bench orchestrator: a real run whose workers answer at once', async () => {
  const size = ['--workers', '4', '--rows', '5000'];
  const { stdout } = await execa('node', ['scripts/bench/run.mjs', 'orchestrator', ...size]);
  const positive = expect.toSatisfy((value: unknown) => typeof value === 'number' && value > 0, 'positive');
  expect(JSON.parse(stdout.split('\n').at(-1) ?? '')).toEqual({
    results_per_second: positive,
    rss_mib: positive,
    rss_mib_at: expect.objectContaining({ 100: positive }),
    cpu_us_per_result: { orchestrator: expect.any(Number), workers: expect.any(Number) },
    rows: 5000,
  });
});

test('bench names what there is', async () => {
  const { exitCode, stderr } = await execa('node', ['scripts/bench/run.mjs', 'nonsense'], { reject: false });
  expect(exitCode).toBe(2);
  expect(stderr).toContain('cli-start, draws, orchestrator, pool, verifiers');
});
