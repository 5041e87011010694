/** run.json: read, and changed as a whole. */
import { cpus, totalmem } from 'node:os';
import { UserError } from '../errors.ts';
import { readJson, readRecord, replaceJson } from './files.ts';
import type { RunPaths } from './paths.ts';
import { type Machine, type Manifest, manifest as manifestSchema, RUN_FORMAT } from './records.ts';
import { rrrCommit, rrrVersion } from './rrr-version.ts';

type ManifestPath = Pick<RunPaths, 'manifest'>;

/** Undefined where there is none. Throws UserError for a run directory in a format that this rrr can't read. */
export function readManifest({ manifest: path }: ManifestPath): Manifest | undefined {
  const value = readJson(path) as { format?: unknown; rrr_version?: unknown } | undefined;
  if (value === undefined) return undefined;
  refuseOtherFormats(path, value);
  return readRecord(path, manifestSchema);
}

function refuseOtherFormats(
  path: string,
  { format, rrr_version }: { format?: unknown; rrr_version?: unknown },
): void {
  if (format === undefined) {
    throw new UserError(
      `${path}: this run was made by an rrr from before run directories had a format number`,
      {
        cure: 'go on with the version that made it, or start another run (--run DIR)',
      },
    );
  }
  if (typeof format === 'number' && format > RUN_FORMAT) {
    throw new UserError(
      `${path}: this run has format ${format}, made by rrr ${rrr_version}; this rrr reads formats up to ${RUN_FORMAT}`,
      { cure: 'update rrr, or start another run (--run DIR)' },
    );
  }
}

function thisMachine(): Machine {
  const processors = cpus();
  const memory_gib = Math.round(totalmem() / 2 ** 30);
  return { cpu: processors[0]?.model ?? 'unknown', cores: processors.length, memory_gib };
}

/** The date that the run keeps, which the first stage's beginning has set. */
export function runDate(path: ManifestPath): string {
  const found = readManifest(path);
  if (!found) throw new Error(`${path.manifest} is not there yet`);
  return found.date;
}

/** Applies `change` to the manifest, which is made when there is none. Only the holder of the run's lock may. */
export function updateManifest(path: ManifestPath, change: (manifest: Manifest) => void): void {
  const now = new Date().toISOString();
  const manifest = readManifest(path) ?? {
    format: RUN_FORMAT,
    rrr_version: rrrVersion(),
    commit: rrrCommit(),
    machine: thisMachine(),
    created: now,
    date: now.slice(0, 'YYYY-MM-DD'.length),
    stages: {},
  };
  change(manifest);
  replaceJson(path.manifest, manifest);
}
