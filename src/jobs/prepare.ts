/** The data of a run: RUN/data, written by the Python side, which alone knows how a task reads its rows. */
import type { Config } from '../config/schema.ts';
import { UserError } from '../errors.ts';
import { type PrepareResult, prepareResult } from '../protocol/methods.ts';
import { fingerprint, flatten } from '../run/decisive.ts';
import { readJson, replaceJson } from '../run/files.ts';
import { readManifest, updateManifest } from '../run/manifest.ts';
import type { RunPaths } from '../run/paths.ts';
import { askWorker } from './ask.ts';
import type { SamplerOptions } from './job.ts';

/** Prepares the data unless RUN/data holds it already. Only the holder of the run's lock may. */
export async function prepareData(paths: RunPaths, options: SamplerOptions): Promise<PrepareResult> {
  const { config } = options;
  const sha = fingerprint(flatten({ seed: config.seed, task: config.task, data: config.data }));
  if (readManifest(paths)?.data_sha === sha) return prepareResult.parse(readJson(paths.dataSummary));
  const summary = await callPrepare(paths, options);
  checkSplits(summary, config);
  replaceJson(paths.dataSummary, summary);
  updateManifest(paths, (manifest) => {
    manifest.data_sha = sha;
    manifest.prompts = summary.prompts;
  });
  return summary;
}

async function callPrepare(paths: RunPaths, options: SamplerOptions): Promise<PrepareResult> {
  const { config, progress } = options;
  progress.start('reading the data', config.data.rows ?? null);
  const question = {
    name: 'prepare',
    module: 'rrr_workers.prepare',
    method: 'prepare',
    params: { output: paths.data },
    onProgress: ({ done, total }: { done: number; total: number | null }) => progress.update({ done, total }),
  };
  try {
    const summary = prepareResult.parse(await askWorker(question, options));
    progress.update({ done: summary.read, total: summary.read });
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
