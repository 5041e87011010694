import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { encodeJson } from '../../src/protocol/jsonl.ts';
import { aggregate } from '../../src/report/aggregate.ts';
import { runPaths } from '../../src/run/paths.ts';
import { writeReport } from '../../src/stages/evaluate/report.ts';
import { input } from '../report/fixture.ts';
import { writeRun } from './finished-run.ts';

test('a report follows from the files of the run alone, and says the same each time', async () => {
  const run = mkdtempSync(join(tmpdir(), 'rrr-run-'));
  writeRun(run, input);
  const report = await writeReport(runPaths(run));
  const trainedModel = join(run, 'train/model');
  expect(report).toEqual(
    aggregate({ ...input, trainedModel, seconds: { failures: 58, train: 80, eval: 30 } }),
  );

  const files = (['json', 'md', 'html'] as const).map((format) => runPaths(run).report(format));
  const written = files.map((file) => readFileSync(file, 'utf8'));
  expect(JSON.parse(written[0] as string)).toEqual(JSON.parse(encodeJson(report)));
  await writeReport(runPaths(run));
  expect(files.map((file) => readFileSync(file, 'utf8'))).toEqual(written);
});

test('a run without a finished evaluation has no report', async () => {
  const run = mkdtempSync(join(tmpdir(), 'rrr-run-'));
  await expect(writeReport(runPaths(run))).rejects.toThrow('holds no finished evaluation');
});

/** The command line in a folder with two finished runs, of seeds 1 and 2. */
function home() {
  const cwd = mkdtempSync(join(tmpdir(), 'rrr-home-'));
  for (const seed of [1, 2]) {
    const run = join(cwd, 'runs', `seed-${seed}`);
    writeRun(run, { ...input, config: { ...input.config, seed } });
  }
  return (...args: string[]) => execa('node', [resolve('dist/main.js'), ...args], { cwd, reject: false });
}

test('rrr report --out writes elsewhere, and not into the run', async () => {
  const rrr = home();
  const { stdout } = await rrr('report', 'runs/seed-1', '--out', 'mine', '--json');
  expect(JSON.parse(stdout)).toMatchObject({
    report: 'mine/report.html',
    comparisons: expect.arrayContaining([
      expect.objectContaining({ decoding: 'sampled', name: 'second_try', n: 10, holm_p: expect.any(Number) }),
    ]),
  });
  expect((await rrr('report', 'runs/seed-1', '--out', 'runs/seed-1/run.json')).exitCode).toBe(2);
});

test('rrr compare joins seeds, and refuses a run named twice', async () => {
  const rrr = home();
  const { stdout, stderr } = await rrr('compare', 'runs/seed-1', 'runs/seed-2', '--out', 'joined', '--json');
  expect(stderr).toContain('over 2 training runs');
  expect(JSON.parse(stdout)).toMatchObject({
    joined: [{ seeds: [1, 2], runs: ['runs/seed-1', 'runs/seed-2'] }],
  });
  const again = await rrr('compare', 'runs/seed-1', 'runs/seed-1');
  expect(again).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('named twice') });
});

test('where there is no run, a report makes none', async () => {
  const cwd = mkdtempSync(join(tmpdir(), 'rrr-home-'));
  for (const more of [[], ['--out', 'mine']]) {
    const { exitCode, stderr } = await execa(
      'node',
      [resolve('dist/main.js'), 'report', 'nowhere', ...more],
      {
        cwd,
        reject: false,
      },
    );
    expect(stderr).toContain('holds no finished evaluation');
    expect(exitCode).toBe(2);
  }
  expect(readdirSync(cwd)).toEqual([]);
});
