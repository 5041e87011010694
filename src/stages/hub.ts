/** What a run takes from the hub of models and data sets, at commits that it keeps: `hub` of run.json. A Python worker asks. */
import { hubModels } from '../config/hub-models.ts';
import type { Config } from '../config/schema.ts';
import { UserError } from '../errors.ts';
import { type HubRepo, hubResult } from '../protocol/methods.ts';
import { readManifest, updateManifest } from '../run/manifest.ts';
import { askWorker } from '../workers/ask.ts';
import type { HubPart, StageJob } from './stage.ts';

type Asked = Pick<StageJob, 'config' | 'paths' | 'signal' | 'progress' | 'launcher' | 'log'>;
type Commits = Readonly<Record<string, string>>;

const HUB_PARTS: readonly HubPart[] = ['models', 'data', 'benchmarks'];

/**
 * The run's commits, with those of `parts` among them. Only the holder of the run's lock may ask. Throws UserError where
 * something can't be had.
 */
export async function chooseCommits(parts: readonly HubPart[], asked: Asked): Promise<Commits> {
  const manifest = readManifest(asked.paths);
  // Data that is prepared is read no more.
  const needed = manifest?.data_sha === undefined ? parts : parts.filter((part) => part !== 'data');
  if (!needed.some((part) => isNamed(part, asked.config))) return manifest?.hub ?? {};
  return (await askHub(needed, false, asked)).commits;
}

/** The same for all that the config names, which is got into the cache. */
export async function fetchAll(asked: Asked): Promise<HubRepo[]> {
  const parts = HUB_PARTS.filter((part) => isNamed(part, asked.config));
  return parts.length === 0 ? [] : (await askHub(parts, true, asked)).repos;
}

/** Keeps what could be had before it throws for what couldn't. */
async function askHub(parts: readonly HubPart[], fetch: boolean, { config, ...asked }: Asked) {
  const { paths, progress } = asked;
  const known = readManifest(paths)?.hub ?? {};
  let phase = 'asking the hub';
  progress.start(phase, null);
  const question = {
    name: 'hub',
    module: 'rrr_workers.roles.hub',
    method: 'hub',
    params: { parts, commits: known, fetch },
    onProgress: (now: { phase: string; done: number; total: number | null }) => {
      if (now.phase !== phase) progress.start(now.phase, now.total);
      phase = now.phase;
      progress.update({ done: now.done, total: now.total });
    },
  };
  try {
    const { repos } = hubResult.parse(await askWorker(question, { ...asked, config }));
    const found = repos.flatMap(({ name, commit }) => (commit === null ? [] : [[name, commit]]));
    const commits = { ...known, ...Object.fromEntries(found) };
    updateManifest(paths, (manifest) => {
      manifest.hub = commits;
    });
    const errors = repos.flatMap(({ error }) => error ?? []);
    if (errors[0] && errors.length === 1) throw new UserError(errors[0].message, { cure: errors[0].cure });
    if (errors.length > 0) {
      throw new UserError(`${errors.length} of ${repos.length} can't be had from the hub`, {
        details: errors.flatMap(({ message, cure }) => [message, `  cure: ${cure}`]),
      });
    }
    return { repos, commits };
  } finally {
    progress.finish();
  }
}

function isNamed(part: HubPart, config: Config): boolean {
  return {
    models: hubModels(config).length > 0,
    data: config.data.source === 'hub',
    benchmarks: config.benchmarks.source === 'hub',
  }[part];
}
