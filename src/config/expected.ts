/** What a key may hold, in words, read from the JSON Schema of the config: one text for every way to miss it. */
import { z } from 'zod';
import { configSchema, resolvedConfigSchema } from './schema.ts';

/** Keys and indices from the document down. */
export type Path = readonly PropertyKey[];

export type JsonSchema = z.core.JSONSchema.JSONSchema;

/** The JSON Schema of a config file, for editors. Keys with a default are optional. */
export function configJsonSchema(): JsonSchema {
  made ??= z.toJSONSchema(configSchema, { io: 'input' });
  return made;
}

/** Made once: it is looked at for every key of a config. */
let made: JsonSchema | undefined;

/** The JSON Schema of the resolved config, in which every key but the optional ones is required. */
export function resolvedConfigJsonSchema(): JsonSchema {
  const { $defs: _json, ...schema } = z.toJSONSchema(resolvedConfigSchema, { io: 'output' });
  // The one definition is zod's recursive one of any JSON value, which says no more than "anything".
  return JSON.parse(JSON.stringify(schema, (_key, value) => (value?.$ref === undefined ? value : {})));
}

/** The schema of the value at `path`, or of what stands in for it: the items of a list, the values of a map. */
export function schemaAt(path: Path): JsonSchema | undefined {
  let schema: JsonSchema | undefined = configJsonSchema();
  for (const segment of path) {
    const next: JsonSchema['properties' | 'items'] | boolean =
      schema?.type === 'array'
        ? schema.items
        : (schema?.properties?.[String(segment)] ?? schema?.additionalProperties);
    if (typeof next !== 'object' || Array.isArray(next)) return undefined;
    schema = next as JsonSchema;
  }
  return schema;
}

export function keysAt(path: Path): string[] {
  return Object.keys(schemaAt(path)?.properties ?? {});
}

/** The dotted keys of the config whose last part is `name`: where a key of another section belongs. */
export function keysNamed(name: string): string[] {
  const found: string[] = [];
  const search = (schema: JsonSchema, path: string) => {
    for (const [key, child] of Object.entries(schema.properties ?? {})) {
      if (key === name) found.push(`${path}${key}`);
      if (typeof child === 'object') search(child, `${path}${key}.`);
    }
  };
  search(configJsonSchema(), '');
  return found;
}

/** Such as "a whole number above 0" or "one of any, all". */
export function describeExpected(schema: JsonSchema | undefined): string {
  if (schema?.enum) return `one of ${schema.enum.join(', ')}`;
  switch (schema?.type) {
    case 'integer':
      return `a whole number${describeRange(schema)}`;
    case 'number':
      return `a number${describeRange(schema)}`;
    case 'boolean':
      return 'true or false';
    case 'string':
      return schema.format === 'uri' ? 'a URL' : schema.minLength ? 'text that is not empty' : 'text';
    case 'array':
      return `a list of at least ${schema.minItems ?? 0}, each ${describeExpected(schema.items as JsonSchema)}`;
    case 'object':
      return 'a section of keys and values';
    default:
      return 'another value';
  }
}

function describeRange({ minimum, maximum, exclusiveMinimum }: JsonSchema): string {
  // Whole numbers always come with the bounds of what a number can hold.
  const least = minimum === Number.MIN_SAFE_INTEGER ? undefined : minimum;
  const most = maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum;
  if (least !== undefined && most !== undefined) return ` from ${least} to ${most}`;
  const parts: string[] = [];
  if (exclusiveMinimum !== undefined) parts.push(`above ${exclusiveMinimum}`);
  if (least !== undefined) parts.push(`of at least ${least}`);
  if (most !== undefined) parts.push(`of at most ${most}`);
  return parts.length > 0 ? ` ${parts.join(' and ')}` : '';
}
