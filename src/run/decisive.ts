/** What in a config decides a result. How fast and where it is made doesn't, so that may change on the way. */
import { createHash } from 'node:crypto';
import type { Config } from '../config/schema.ts';
import type { StageName } from './manifest.ts';

/** By dotted key. */
export type DecisiveValues = Record<string, unknown>;

export function decisiveValues(stage: StageName, config: Config): DecisiveValues {
  const { seed, model, task, data, sampling, failures, workers } = config;
  const {
    checkpoint_every,
    keep_checkpoints,
    max_restarts,
    step_timeout_s,
    gpu_memory_utilization,
    ...train
  } = config.train;
  const { on_bad_row, ...rows } = data; // rows that stop one run are skipped by the other: what is kept is the same
  const decisive = { seed, model, task, data: rows, sampling, failures, workers: { engine: workers.engine } };
  if (stage === 'failures') return flatten(decisive);
  if (stage === 'train') return flatten({ ...decisive, train });
  return flatten({ ...decisive, train, eval: { model: config.eval.model, modes: config.eval.modes } });
}

export function fingerprint(values: DecisiveValues): string {
  const sorted = Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256').update(JSON.stringify(sorted)).digest('hex');
}

/** Lines "key: before -> now". */
export function listDifferences(before: DecisiveValues, now: DecisiveValues): string[] {
  const show = (value: unknown) => (value === undefined ? 'not set' : JSON.stringify(value));
  return [...new Set([...Object.keys(before), ...Object.keys(now)])]
    .filter((key) => JSON.stringify(before[key]) !== JSON.stringify(now[key]))
    .map((key) => `  ${key}: ${show(before[key])} -> ${show(now[key])}`);
}

export function flatten(value: object, prefix = ''): DecisiveValues {
  const flat: DecisiveValues = {};
  for (const [key, child] of Object.entries(value)) {
    if (child !== null && typeof child === 'object' && !Array.isArray(child))
      Object.assign(flat, flatten(child, `${prefix}${key}.`));
    else if (child !== undefined) flat[`${prefix}${key}`] = child;
  }
  return flat;
}
