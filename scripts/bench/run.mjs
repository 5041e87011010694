#!/usr/bin/env node
// npm run --silent bench -- NAME [arguments]: runs scripts/bench/NAME.py (with the workers' Python) or NAME.mjs.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** @param {string} path */
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const [name = '', ...rest] = process.argv.slice(2);
const known = readdirSync(here('.'))
  .filter((file) => /\.(py|mjs)$/.test(file) && file !== 'run.mjs')
  .map((file) => file.replace(/\.(py|mjs)$/, ''));

if (!known.includes(name)) {
  process.stderr.write(`usage: npm run --silent bench -- NAME\nbenchmarks: ${known.join(', ')}\n`);
  process.exit(2);
}
const python = process.env.RRR_PYTHON ?? here('../../.venv/bin/python');
const script = here(`${name}.py`);
// The leash ends with our end of the pipe, however this process dies.
const [command, ...before] = existsSync(script)
  ? [python, here('support/leash.py'), python, script]
  : [process.execPath, here(`${name}.mjs`)];
process.on('SIGINT', () => {}); // the benchmark has it too, and ends as it likes
const child = spawn(command, [...before, ...rest], { stdio: ['pipe', 'inherit', 'inherit'] });
child.on('error', (error) => {
  process.stderr.write(`${command}: ${error.message}; scripts/setup.sh makes it\n`);
  process.exitCode = 1;
});
child.on('exit', (status) => {
  process.exitCode = status ?? 1;
});
