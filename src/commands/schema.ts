/**
 * `rrr schema`: the JSON Schema that editors check a config with; with --resolved that of the config which workers are
 * given; with --markdown the page about every key. `npm run schema` keeps all three in files.
 */
import { configJsonSchema, resolvedConfigJsonSchema } from '../config/expected.ts';
import { configMarkdown } from '../config/markdown.ts';
import type { Context, Outcome } from '../terminal/context.ts';

export interface SchemaOptions {
  resolved?: boolean;
  markdown?: boolean;
}

export async function runSchema(_context: Context, options: SchemaOptions): Promise<Outcome> {
  if (options.markdown) {
    const text = configMarkdown();
    return { text: text.trimEnd(), json: { text } };
  }
  const json = options.resolved ? resolvedConfigJsonSchema() : configJsonSchema();
  return { text: JSON.stringify(json, null, 2), json };
}
