/** Where a run comes from: what it was made by, and where its config is not the default. */
import { existsSync } from 'node:fs';
import { relative } from 'node:path';
import { type Config, configSchema } from '../../config/schema.ts';
import type { ConfigChange, Origin } from '../../report/report.ts';
import { flatten } from '../../run/fingerprint.ts';
import { sha256Of } from '../../run/identity.ts';
import type { RunPaths } from '../../run/paths.ts';
import type { Manifest, WorkerEvent } from '../../run/records.ts';

export function describeOrigin(
  paths: RunPaths,
  { created, commit, machine, prompts = {} }: Manifest,
  config: Config,
  workers: readonly WorkerEvent[],
): Origin {
  const files = [paths.testQueries, paths.trainQueries, paths.failures].filter((path) => existsSync(path));
  return {
    created,
    command: `rrr run -c ${paths.stageConfig('eval')} --run ANOTHER-RUN`,
    commit: commit ?? null,
    machine: machine ?? null,
    engines: enginesOf(workers),
    prompts,
    hashes: Object.fromEntries(files.map((path) => [relative(paths.run, path), sha256Of(path)])),
    changes: changesOf(config),
  };
}

/** "vllm on cpu, float32", once each. */
function enginesOf(workers: readonly WorkerEvent[]): string[] {
  const said = workers.flatMap((event) => {
    if (event.event !== 'ready' || typeof event.info.device !== 'string') return [];
    const { engine = event.worker.replace(/-\d+$/, ''), device, dtype } = event.info;
    return [`${engine} on ${device}${dtype === undefined ? '' : `, ${dtype}`}`];
  });
  return [...new Set(said)];
}

/** What the schema says where a config says nothing but what it must. */
function changesOf(config: Config): ConfigChange[] {
  const preset = flatten(configSchema.parse({ model: { name: '-' }, data: { source: config.data.source } }));
  for (const key of ['model.name', 'data.source']) delete preset[key];
  const show = (value: unknown) => (value === undefined ? null : JSON.stringify(value));
  return Object.entries(flatten(config))
    .filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(preset[key]))
    .map(([key, value]) => ({ key, preset: show(preset[key]), here: JSON.stringify(value) }));
}
