/** The configs that come with rrr. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { configJsonSchema } from '../../src/config/expected.ts';
import { loadConfig } from '../../src/config/load.ts';
import { configMarkdown } from '../../src/config/markdown.ts';
import { renderProblems } from '../../src/config/render.ts';

const files = readdirSync('configs').filter((name) => name.endsWith('.yaml'));

test.each(files)('%s is valid, and editors find its schema', (name) => {
  // Models and data are made or fetched by the user: stand-ins that are there in every clone.
  const sets = ['model.name=owner/model', ...(name.startsWith('smollm2') ? ['data.path=package.json'] : [])];
  const { problems, warnings } = loadConfig({ file: `configs/${name}`, sets, cwd: process.cwd() });
  expect(renderProblems([...problems, ...warnings])).toBe('');
  expect(readFileSync(`configs/${name}`, 'utf8')).toMatch(
    /^# yaml-language-server: \$schema=\.\/schema\.json\n/,
  );
});

test('configs/schema.json is current: npm run schema', () => {
  expect(JSON.parse(readFileSync('configs/schema.json', 'utf8'))).toEqual(
    JSON.parse(JSON.stringify(configJsonSchema())),
  );
});

test('docs/config.md is current: npm run schema', () => {
  expect(readFileSync('docs/config.md', 'utf8')).toBe(configMarkdown());
});
