import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { writeReport } from '../../src/jobs/report.ts';
import { aggregate } from '../../src/report/aggregate.ts';
import { runPaths } from '../../src/run/paths.ts';
import { input } from '../report/fixture.ts';

/** A finished run as its files. */
function writeRun(run: string): void {
  const paths = runPaths(run);
  const lines = (rows: readonly unknown[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  for (const folder of ['logs', 'data', 'failures', 'train', 'eval'])
    mkdirSync(join(run, folder), { recursive: true });
  const stage = { status: 'finished', config_sha: '', started: '', finished: '', attempts: 1 };
  const stages = {
    failures: { ...stage, seconds: 58 },
    train: { ...stage, seconds: 80 },
    eval: { ...stage, seconds: 30 },
  };
  writeFileSync(paths.manifest, JSON.stringify({ rrr_version: '0.1.0', created: '', stages }));
  writeFileSync(paths.log, lines([{ msg: 'hello', versions: input.versions }, { msg: 'other' }]));
  writeFileSync(join(paths.evalDir, 'config.json'), JSON.stringify(input.config));
  writeFileSync(paths.dataSummary, JSON.stringify(input.data));
  writeFileSync(
    paths.tallies,
    lines(input.tallies.map((tally, index) => ({ id: `t${index}`, index, ...tally }))),
  );
  writeFileSync(paths.trainEvents, lines(input.events));
  writeFileSync(paths.testQueries, lines(input.queries));
  writeFileSync(paths.evalJournal, lines(input.records));
}

test('a report follows from the files of the run alone, and says the same each time', async () => {
  const run = mkdtempSync(join(tmpdir(), 'rrr-run-'));
  writeRun(run);
  const report = await writeReport(run);
  const model = join(run, 'train/model');
  expect(report).toEqual(aggregate({ ...input, model, seconds: { failures: 58, train: 80, eval: 30 } }));

  const files = (['json', 'md', 'html'] as const).map((format) => runPaths(run).report(format));
  const written = files.map((file) => readFileSync(file, 'utf8'));
  expect(JSON.parse(written[0] as string)).toEqual(JSON.parse(JSON.stringify(report)));
  await writeReport(run);
  expect(files.map((file) => readFileSync(file, 'utf8'))).toEqual(written);
});

test('a run without a finished evaluation has no report', async () => {
  const run = mkdtempSync(join(tmpdir(), 'rrr-run-'));
  await expect(writeReport(run)).rejects.toThrow('holds no finished evaluation');
});
