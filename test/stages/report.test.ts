import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { encodeJson, encodeLine } from '../../src/protocol/jsonl.ts';
import { aggregate } from '../../src/report/aggregate.ts';
import { runPaths } from '../../src/run/paths.ts';
import { writeReport } from '../../src/stages/evaluate/report.ts';
import { input } from '../report/fixture.ts';

/** A finished run as its files. */
function writeRun(run: string): void {
  const paths = runPaths(run);
  const lines = (rows: readonly unknown[]) => rows.map(encodeLine).join('');
  for (const folder of ['logs', 'data', 'failures', 'train', 'eval'])
    mkdirSync(join(run, folder), { recursive: true });
  const stage = { status: 'finished', config_sha: '', started: '', finished: '', attempts: 1 };
  const stages = {
    failures: { ...stage, seconds: 58 },
    train: { ...stage, seconds: 80 },
    eval: { ...stage, seconds: 30 },
  };
  writeFileSync(
    paths.manifest,
    JSON.stringify({ format: 2, rrr_version: '0.1.0', created: '', date: '2026-01-02', stages }),
  );
  const event = { time: 0, rrr: 1, worker: 'sampler-0' };
  const hello = { ...event, event: 'hello', versions: input.versions };
  writeFileSync(paths.workerEvents, lines([{ ...event, event: 'started', pid: 2 }, hello]));
  writeFileSync(paths.stageConfig('eval'), JSON.stringify(input.config));
  writeFileSync(paths.dataSummary, JSON.stringify(input.data));
  writeFileSync(paths.tallies, lines(input.tallies));
  writeFileSync(paths.trainEvents, lines(input.events));
  writeFileSync(paths.testQueries, lines(input.queries));
  writeFileSync(paths.evalJournal, lines(input.records));
}

test('a report follows from the files of the run alone, and says the same each time', async () => {
  const run = mkdtempSync(join(tmpdir(), 'rrr-run-'));
  writeRun(run);
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
