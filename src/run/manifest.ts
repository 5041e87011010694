/** run.json: what a run directory holds, stage by stage. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { readJson, replaceJson } from './files.ts';
import type { RunPaths } from './paths.ts';

export const STAGES = ['failures', 'train', 'eval'] as const;
export type StageName = (typeof STAGES)[number];

const stageRecord = z.object({
  /** running: also when it was killed. */
  status: z.enum(['running', 'interrupted', 'failed', 'finished']),
  /** Hash of the parts of the config that decide the stage's result. */
  config_sha: z.string(),
  started: z.string(),
  finished: z.string().nullable(),
  /** Times the stage was started, and the wall seconds of all of them but those that were killed. */
  attempts: z.int().positive(),
  seconds: z.number().nonnegative(),
});
export type StageRecord = z.output<typeof stageRecord>;

const manifestSchema = z.object({
  rrr_version: z.string(),
  created: z.string(),
  /** Hash of the parts of the config that the prepared data follows from, once it is prepared. */
  data_sha: z.string().optional(),
  /** The prompt templates that are in force. */
  prompts: z.record(z.string(), z.string().nullable()).optional(),
  stages: z.partialRecord(z.enum(STAGES), stageRecord),
});
export type Manifest = z.output<typeof manifestSchema>;

export function readManifest({ manifest }: Pick<RunPaths, 'manifest'>): Manifest | undefined {
  const value = readJson(manifest);
  return value === undefined ? undefined : manifestSchema.parse(value);
}

/** Applies `change` to the manifest, which is made when there is none. Only the holder of the run's lock may. */
export function updateManifest(
  paths: Pick<RunPaths, 'manifest'>,
  change: (manifest: Manifest) => void,
): void {
  const manifest = readManifest(paths) ?? {
    rrr_version: JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version,
    created: new Date().toISOString(),
    stages: {},
  };
  change(manifest);
  replaceJson(paths.manifest, manifest);
}
