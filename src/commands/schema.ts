/**
 * `rrr schema`: the JSON Schema that editors check a config with, or, with --resolved, that of the config which workers are
 * given. `npm run schema` keeps both in files.
 */
import { configJsonSchema, resolvedConfigJsonSchema } from '../config/expected.ts';
import type { Context, Outcome } from '../terminal/context.ts';

export async function runSchema(_context: Context, options: { resolved?: boolean }): Promise<Outcome> {
  const json = options.resolved ? resolvedConfigJsonSchema() : configJsonSchema();
  return { text: JSON.stringify(json, null, 2), json };
}
