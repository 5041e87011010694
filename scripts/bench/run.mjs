#!/usr/bin/env node
// npm run --silent bench -- NAME [arguments]: runs scripts/bench/NAME.py (with the workers' Python) or NAME.mjs.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const [name, ...rest] = process.argv.slice(2);
const known = readdirSync(here('.'))
  .filter((file) => /\.(py|mjs)$/.test(file) && file !== 'run.mjs')
  .map((file) => file.replace(/\.(py|mjs)$/, ''));

if (!known.includes(name)) {
  process.stderr.write(`usage: npm run --silent bench -- NAME\nbenchmarks: ${known.join(', ')}\n`);
  process.exit(2);
}
const script = here(`${name}.py`);
const [command, ...before] = existsSync(script)
  ? [here('../../.venv/bin/python'), script]
  : [process.execPath, here(`${name}.mjs`)];
const { status, error } = spawnSync(command, [...before, ...rest], { stdio: 'inherit' });
if (error) process.stderr.write(`${command}: ${error.message}; scripts/setup.sh makes it\n`);
process.exit(status ?? 1);
