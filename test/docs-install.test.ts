/** What the pages of docs/ say of messages, findings and commands is so. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { parse } from 'yaml';

const page = (name: string) => readFileSync(join('docs', name), 'utf8');

function sourcesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(ts|py)$/.test(entry.name))
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'));
}

/** The first cells of the tables under a heading. */
function firstCells(text: string, heading: string): string[] {
  const section = text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? '';
  return [...section.matchAll(/^\| `([^`]+)` \|/gm)].map(([, cell]) => cell as string);
}

const quote = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
const sources = [...sourcesIn('src'), ...sourcesIn('workers/rrr_workers')].join('\n');

test.each(firstCells(page('troubleshooting.md'), 'By message'))('a message of rrr: %s', (message) => {
  const parts = message.split('…').map((part) => quote(part.trim()));
  expect(new RegExp(parts.join('[^\\n]*?')).test(sources)).toBe(true);
});

test('the findings of the doctor, all of them', () => {
  const told = firstCells(page('troubleshooting.md'), 'rrr doctor');
  const text = [...sourcesIn('src/inspect/doctor'), readFileSync('src/node-version.ts', 'utf8')].join('\n');
  const made = [
    ...[...text.matchAll(/\b(?:error|warning|info)\(\s*'(\w+)'/g)],
    ...[...text.matchAll(/(?:error : warning|warning : error)\)\('(\w+)'/g)],
    ...[...text.matchAll(/\bid: '(\w+)'/g)],
  ].map(([, id]) => id as string);
  expect([...told].sort()).toEqual([...new Set(made)].sort());
});

test('the workflow for CI: commands and options that are there', async () => {
  const [, yaml = ''] = /^```yaml\n(.*?)^```$/ms.exec(page('ci.md')) ?? [];
  const { jobs } = parse(yaml) as { jobs: Record<string, { steps: { run?: string }[] }> };
  const runs = Object.values(jobs).flatMap(({ steps }) => steps.map(({ run }) => run ?? ''));
  const lines = runs.filter((run) => run.startsWith('npx rrr '));
  expect(lines.length).toBeGreaterThan(5);
  for (const line of lines) {
    const words = line.split(' ').slice(2);
    const options = words.filter((word) => word.startsWith('-'));
    const command = words.slice(0, words[0] === 'task' ? 2 : 1);
    const { stdout, exitCode } = await execa('node', [resolve('dist/main.js'), ...command, '--help']);
    expect(exitCode).toBe(0);
    for (const option of options) expect(stdout).toMatch(new RegExp(`(^|[ ,])${option}\\b`, 'm'));
  }
});
