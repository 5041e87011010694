import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { MARK, processesOf } from '../scripts/faults/processes.mjs';
import { hasChromium } from './report/chromium.ts';

const BENCH = 'scripts/bench/run.mjs';

/** No times: they are the machine's. That every row is answered, and that what is told has its shape. */
test('bench orchestrator: a real run whose workers answer at once', async () => {
  const size = ['--workers', '4', '--rows', '5000'];
  const { stdout } = await execa('node', [BENCH, 'orchestrator', ...size]);
  const positive = expect.toSatisfy((value: unknown) => typeof value === 'number' && value > 0, 'positive');
  expect(JSON.parse(stdout.split('\n').at(-1) ?? '')).toEqual({
    results_per_second: positive,
    rss_mib: positive,
    rss_mib_at: expect.objectContaining({ 100: positive }),
    cpu_us_per_result: { orchestrator: expect.any(Number), workers: expect.any(Number) },
    rows: 5000,
  });
});

test.skipIf(!hasChromium)('bench report: a page with every sample, filtered and searched', async () => {
  const { stdout } = await execa('node', [BENCH, 'report', '20']);
  const keys = ['samples', 'mib', 'report_s', 'paint_ms', 'index_ms', 'filter_ms'];
  expect(JSON.parse(stdout)).toEqual(Object.fromEntries(keys.map((key) => [key, expect.any(Number)])));
});

test('bench names what there is', async () => {
  const { exitCode, stderr } = await execa('node', [BENCH, 'nonsense'], { reject: false });
  expect(exitCode).toBe(2);
  expect(stderr).toContain('cli-start, draws, orchestrator, pool, ranks, report, train, verifiers');
});

describe('a killed benchmark leaves no process behind', () => {
  const folder = mkdtempSync(join(tmpdir(), 'rrr-bench-test-'));
  const env = { TMPDIR: folder, [MARK]: folder };
  const processes = () => processesOf(folder, new Set());

  afterEach(() => kill('SIGKILL', processes()));
  afterAll(() => rmSync(folder, { recursive: true }));

  test.each([
    ['itself', /run\.mjs orchestrator/],
    ['its Python', /python\S* \S*\/orchestrator\.py/],
  ])('%s is killed while what it started is stopped', async (_, victim) => {
    const size = ['--workers', '2', '--rows', '1000000'];
    const bench = execa('node', [BENCH, 'orchestrator', ...size], { env, reject: false });
    const run = await vi.waitUntil(
      () => {
        const found = processes().filter(({ command }) => /^node .*main\.js|roles\.sampler/.test(command));
        return found.length === 3 && found;
      },
      { timeout: 30_000 },
    );
    kill('SIGSTOP', run);
    const victims = processes().filter(
      ({ command }) => victim.test(command) && !command.includes('leash.py'),
    );
    expect(victims).toHaveLength(1);
    kill('SIGKILL', victims);
    await vi.waitUntil(() => processes().length === 0, { timeout: 10_000 });
    await bench;
  });
});

function kill(signal: NodeJS.Signals, processes: { pid: number }[]) {
  for (const { pid } of processes) process.kill(pid, signal);
}
