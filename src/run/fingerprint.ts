/** What of a config decides a stage's result, as flat values that can be hashed and compared. */
import { createHash } from 'node:crypto';

/** By dotted key. */
export type FlatValues = Record<string, unknown>;

/** Hex sha256 of the values, whatever their order. */
export function fingerprint(values: FlatValues): string {
  const sorted = Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256').update(JSON.stringify(sorted)).digest('hex');
}

/** Lines "key: before -> now". */
export function listDifferences(before: FlatValues, now: FlatValues): string[] {
  const show = (value: unknown) => (value === undefined ? 'not set' : JSON.stringify(value));
  return [...new Set([...Object.keys(before), ...Object.keys(now)])]
    .filter((key) => JSON.stringify(before[key]) !== JSON.stringify(now[key]))
    .map((key) => `  ${key}: ${show(before[key])} -> ${show(now[key])}`);
}

export function flatten(value: object, prefix = ''): FlatValues {
  const flat: FlatValues = {};
  for (const [key, child] of Object.entries(value)) {
    if (child !== null && typeof child === 'object' && !Array.isArray(child))
      Object.assign(flat, flatten(child, `${prefix}${key}.`));
    else if (child !== undefined) flat[`${prefix}${key}`] = child;
  }
  return flat;
}
