/**
 * One query as the evaluation asks it: its arms, models, engine, prompts, sampling and seeds, without a report. Of the run
 * everything is read and nothing is written.
 */
import { existsSync } from 'node:fs';
import { type Config, resolvedConfigSchema } from '../../config/schema.ts';
import { UserError } from '../../errors.ts';
import { type EpisodeResult, episodeResult, type Query } from '../../protocol/methods.ts';
import { type Arm, armsOf, BASE, needsOf, TRAINED, TRAINED_ON_BASE } from '../../report/arms.ts';
import { firstPassed } from '../../report/cases.ts';
import type { Decoding } from '../../report/report.ts';
import { readJson } from '../../run/files.ts';
import { readLines, readQueries } from '../../run/journal.ts';
import type { RunPaths } from '../../run/paths.ts';
import { evalRecord } from '../../run/records.ts';
import { SamplerPools } from '../sampler-pools.ts';
import type { StageJob } from '../stage.ts';
import { modelsOf, paramsOf, withVllm } from './episodes.ts';

const STAGES = ['eval', 'train', 'failures'];
/** In the order in which they are shown. */
const ARMS = [BASE, TRAINED, TRAINED_ON_BASE];

/** By the arm's name. */
export type Episodes = Record<string, EpisodeResult>;
export type AskedModel = typeof BASE | typeof TRAINED;

/** The config of the run's last stage that was begun, for one worker. Throws UserError where none was. */
export function readConfig(paths: RunPaths): Config {
  const path = STAGES.map((stage) => paths.stageConfig(stage)).find(existsSync);
  if (path === undefined) {
    throw new UserError(`${paths.run} holds no config: none of its stages was begun`, {
      cure: 'run rrr build-failures first',
    });
  }
  const config = withVllm(resolvedConfigSchema.parse(readJson(path)));
  const { devices } = config.workers;
  return {
    ...config,
    workers: { ...config.workers, count: 1, ...(devices && { devices: devices.slice(0, 1) }) },
  };
}

/** Throws UserError where a model that is wanted by name is not there; unnamed, both are asked as far as they are. */
export function modelsToAsk(
  config: Config,
  paths: RunPaths,
  wanted: AskedModel | 'both' | undefined,
): AskedModel[] {
  if (wanted === BASE) return [BASE];
  if (config.eval.model !== undefined || existsSync(paths.trainedModel))
    return wanted === TRAINED ? [TRAINED] : [BASE, TRAINED];
  if (wanted === undefined) return [BASE];
  throw new UserError(`${paths.trainedModel} is not there: nothing was trained in this run`, {
    cure: 'run rrr train first, or ask the base model: --model base',
  });
}

/** What the evaluation's journal holds of a decoding: the episodes of each query's first sample. */
export async function readRecorded(paths: RunPaths, decoding: Decoding): Promise<Map<string, Episodes>> {
  const recorded = new Map<string, Episodes>();
  for await (const line of readLines(paths.evalJournal)) {
    const { arm, sample, id, episode, ...record } = evalRecord.parse(line);
    if (record.decoding !== decoding || sample !== 0 || !ARMS.includes(arm)) continue;
    recorded.set(id, { ...recorded.get(id), [arm]: episode });
  }
  return recorded;
}

/**
 * The query with this id; without one the first that the base model failed in the evaluation or, where there was none, the
 * first of the test split. Throws UserError where it isn't there.
 */
export async function chooseQuery(
  paths: RunPaths,
  recorded: ReadonlyMap<string, Episodes>,
  id: string | undefined,
): Promise<Query> {
  const failed = (query: Query) => {
    const episode = recorded.get(query.id)?.[BASE];
    return episode !== undefined && !firstPassed(episode);
  };
  let first: Query | undefined;
  for await (const query of readQueries(paths.testQueries)) {
    if (id === undefined ? failed(query) : query.id === id) return query;
    first ??= query;
  }
  if (first === undefined) {
    throw new UserError(`${paths.testQueries} holds no query`, { cure: 'run rrr build-failures first' });
  }
  if (id === undefined) return first;
  throw new UserError(`the test split holds no query ${id}`, {
    cure: `name an id that stands in ${paths.testQueries}, such as ${first.id}`,
  });
}

/** The episodes of the arms that these models make of the query, one model after the other. */
export async function askQuery(
  query: Query,
  decoding: Decoding,
  models: readonly string[],
  job: Omit<StageJob, 'samplers' | 'resumed' | 'options'>,
): Promise<Episodes> {
  const { config, paths, progress, signal } = job;
  const arms = armsOf({ controls: [], baselines: [] });
  const episodes: Episodes = {};
  const samplers = new SamplerPools();
  try {
    for (const { key, label, model } of modelsOf(config, paths).filter(({ key }) => models.includes(key))) {
      progress.start(`loading the model ${label}`, null);
      const pool = await samplers.take(model, { ...job, samplers, resumed: false, options: {} });
      progress.start(`asking the model ${label}`, null);
      const ask = async (arm: Arm) => {
        const failedAnswer = arm.failuresOf === null ? null : failedAnswerOf(episodes[arm.failuresOf]);
        if (failedAnswer === undefined) return;
        const owed = { arm, decoding, sample: 0, query, failedAnswer };
        episodes[arm.name] = episodeResult.parse(await pool.call('episode', paramsOf(owed, config)));
      };
      const ready = arms.filter((arm) => arm.model === key && needsOf(arm).every((name) => name in episodes));
      await pool.forEach(ready, ask, signal);
    }
    // Those of one model are asked at once: they come in any order.
    return Object.fromEntries(ARMS.flatMap((arm) => (episodes[arm] ? [[arm, episodes[arm]]] : [])));
  } finally {
    await samplers.stop();
    progress.finish();
  }
}

function failedAnswerOf(episode: EpisodeResult | undefined): string | undefined {
  return episode?.first && !firstPassed(episode) ? episode.first.completion : undefined;
}
