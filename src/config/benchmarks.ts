/** What the benchmarks section means beside its values: the files of its folder, and the limit that it may leave out. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from './schema.ts';

const MOST_BY_DEFAULT = 2048;

/** Files with the rows of a benchmark: one, where all is well. None where `folder` is none. */
export function findBenchmarkFiles(folder: string, task: string): string[] {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith('.jsonl') && name.toLowerCase().replaceAll('-', '_').startsWith(task))
    .sort()
    .map((name) => join(folder, name));
}

/** benchmarks.max_gen_toks, or its default, which depends on the model. */
export function mostNewTokens({ benchmarks: { max_gen_toks }, model }: Config): number {
  return max_gen_toks ?? Math.min(MOST_BY_DEFAULT, Math.ceil(model.max_model_len / 2));
}
