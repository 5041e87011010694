import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeLine } from '../../src/protocol/jsonl.ts';
import type { ReportInput } from '../../src/report/report.ts';
import { flatten } from '../../src/run/fingerprint.ts';
import { runPaths } from '../../src/run/paths.ts';
import { decideEvaluation } from '../../src/stages/decides.ts';

/** A finished run as its files. */
export function writeRun(run: string, input: ReportInput): void {
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
    JSON.stringify({
      format: 2,
      rrr_version: '0.1.0',
      created: '',
      date: '2026-01-02',
      hub: input.hub,
      stages,
    }),
  );
  const event = { time: 0, rrr: 1, worker: 'sampler-0' };
  const hello = { ...event, event: 'hello', versions: input.versions };
  writeFileSync(paths.workerEvents, lines([{ ...event, event: 'started', pid: 2 }, hello]));
  writeFileSync(paths.stageConfig('eval'), JSON.stringify(input.config));
  writeFileSync(paths.stageDecides('eval'), JSON.stringify(flatten(decideEvaluation(input.config))));
  writeFileSync(paths.dataSummary, JSON.stringify(input.data));
  writeFileSync(paths.tallies, lines(input.tallies));
  writeFileSync(paths.trainEvents, lines(input.events));
  writeFileSync(paths.testQueries, lines(input.queries));
  writeFileSync(paths.evalJournal, lines(input.records));
}
