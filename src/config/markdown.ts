/** docs/config.md: every key of a config as a table, from its JSON Schema. */
import { stringify } from 'yaml';
import { configJsonSchema, describeExpected, type JsonSchema } from './expected.ts';

const HEAD = `# Every key of a config

For whoever writes a config and wants to know what a key does. Made from
[\`src/config/schema.ts\`](../src/config/schema.ts) by \`npm run schema\`: change it there.

A key without a default may be left out, unless it says **required**. Paths are relative to the config file, in \`--set\` to the current
folder. Defaults are the paper's where it says ([arXiv 2505.24726](https://arxiv.org/abs/2505.24726), section 4). A mistake in a
config is told with its place and its cure before anything starts. Editors check and complete a config whose first line is
\`# yaml-language-server: $schema=./schema.json\`.
`;
const TABLE = ['| key | what it holds | default | |', '|---|---|---|---|'];

export function configMarkdown(): string {
  const { properties = {}, required = [] } = configJsonSchema();
  const entries = Object.entries(properties) as [string, JsonSchema][];
  const plain = entries.filter(([, schema]) => schema.properties === undefined);
  const sections = entries.filter(([, schema]) => schema.properties !== undefined);
  return [
    HEAD,
    '## At the top',
    '',
    ...TABLE,
    ...plain.flatMap(([key, schema]) => rowsOf(key, schema, required.includes(key))),
    ...sections.flatMap(([key, schema]) => ['', `## ${key}`, '', ...TABLE, ...rowsBelow(`${key}.`, schema)]),
    '',
  ].join('\n');
}

/** Of the keys of a section, and of the sections in it. */
function rowsBelow(prefix: string, { properties = {}, required = [] }: JsonSchema): string[] {
  return Object.entries(properties).flatMap(([key, child]) =>
    rowsOf(prefix + key, child as JsonSchema, required.includes(key)),
  );
}

function rowsOf(key: string, schema: JsonSchema, required: boolean): string[] {
  const items = schema.type === 'array' ? (schema.items as JsonSchema) : undefined;
  const isSection = schema.properties !== undefined;
  const value = required ? '**required**' : isSection ? '' : showDefault(schema);
  const held = items?.properties ? 'a list of sections' : describeExpected(schema);
  const row = `| ${[`\`${key}\``, held, value, schema.description ?? ''].map(cell).join(' | ')} |`;
  return [row, ...rowsBelow(`${key}.`, schema), ...(items ? rowsBelow(`${key}[].`, items) : [])];
}

function showDefault({ default: value }: JsonSchema): string {
  return value === undefined
    ? ''
    : `\`${stringify(value, { collectionStyle: 'flow', flowCollectionPadding: false }).trim()}\``;
}

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
