/** `rrr schema`: the JSON Schema that editors check a config with. `npm run schema` keeps it in configs/schema.json. */
import { configJsonSchema } from '../config/expected.ts';
import type { Outcome } from './command.ts';

export async function runSchema(): Promise<Outcome> {
  const json = configJsonSchema();
  return { text: JSON.stringify(json, null, 2), json };
}
