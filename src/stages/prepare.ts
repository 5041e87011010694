/** The data of a run: RUN/data, written by the Python side, which alone knows how a task reads its rows. */
import type { Config } from '../config/schema.ts';
import { UserError } from '../errors.ts';
import { type PrepareResult, prepareResult } from '../protocol/methods.ts';
import { readRecord, replaceJson } from '../run/files.ts';
import { fingerprint, flatten } from '../run/fingerprint.ts';
import { readManifest, updateManifest } from '../run/manifest.ts';
import { askWorker } from '../workers/ask.ts';
import { decideData } from './decides.ts';
import type { StageJob, StagePlan } from './stage.ts';

/** Prepares the data unless RUN/data holds it already. */
export async function prepareData(job: StageJob): Promise<PrepareResult> {
  const { config, paths } = job;
  const sha = dataFingerprint(config);
  if (readManifest(paths)?.data_sha === sha) return readRecord(paths.dataSummary, prepareResult);
  const summary = await callPrepare(job);
  checkSplits(summary, config);
  replaceJson(paths.dataSummary, summary);
  updateManifest(paths, (manifest) => {
    manifest.data_sha = sha;
    manifest.prompts = summary.prompts;
  });
  return summary;
}

export function dataFingerprint(config: Config): string {
  return fingerprint(flatten(decideData(config)));
}

export const preparePlan: StagePlan['processes'][number] = {
  role: 'prepare',
  count: 1,
  what: 'reads and splits the data',
};

async function callPrepare(job: StageJob): Promise<PrepareResult> {
  const { config, paths, progress } = job;
  progress.start('reading the data', config.data.rows ?? null);
  const question = {
    name: 'prepare',
    module: 'rrr_workers.roles.prepare',
    method: 'prepare',
    params: { output: paths.data },
    onProgress: ({ done, total }: { done: number; total: number | null }) => progress.update({ done, total }),
  };
  try {
    const summary = prepareResult.parse(await askWorker(question, job));
    progress.update({ done: summary.read, total: summary.read });
    if (summary.duplicates > 0) progress.note(`dropped ${summary.duplicates} rows that are there already`);
    for (const warning of summary.warnings) progress.note(`warning: ${warning}`);
    if (summary.skipped > 0)
      progress.note(`skipped ${summary.skipped} bad rows: ${summary.skipped_examples[0]} ...`);
    return summary;
  } finally {
    progress.finish();
  }
}

function checkSplits({ read, train, test }: PrepareResult, { data }: Config): void {
  for (const [name, rows] of [
    ['train', train],
    ['test', test],
  ] as const) {
    if (rows > 0) continue;
    throw new UserError(`the ${name} split is empty: none of ${read} rows is in it`, {
      cure: `more data, or another data.test_fraction (now ${data.test_fraction}) and data.train_fraction (now ${data.train_fraction})`,
    });
  }
}
