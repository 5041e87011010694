/** `rrr fetch` from a hub of this machine, then a stage with that hub gone, at the commits that were fetched. */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { findPython } from '../src/launch/python.ts';
import { temporaryFolder } from './workers/harness.ts';

const rows = Array.from({ length: 40 }, (_, n) => ({ nums: [n + 1, 5, 7], target: n + 13 }));

/** A hub with the tiny model and a data set, until `gone` is called. */
async function startHub(root: string) {
  const data = join(root, 'datasets/lab/sums/main');
  mkdirSync(data, { recursive: true });
  writeFileSync(join(data, 'rows.jsonl'), rows.map((row) => JSON.stringify(row)).join('\n'));
  cpSync('models/tiny', join(root, 'models/lab/tiny/main'), { recursive: true, dereference: true });
  const server = execa(findPython({}), ['workers/tests/fake_hub.py', root], { stdin: 'pipe', reject: false });
  const address = await new Promise<string>((told) =>
    server.stdout.once('data', (line) => told(`${line}`.trim())),
  );
  const gone = async () => {
    server.stdin.end();
    await server;
  };
  return { address, gone };
}

test('build-failures on a node without a network, after rrr fetch', { timeout: 400_000 }, async () => {
  const cwd = temporaryFolder();
  const config = readFileSync('configs/demo.yaml', 'utf8')
    .replace('../models/tiny', 'lab/tiny')
    .replace(/^data:\n(?: .*\n)+/m, 'data: {source: hub, dataset: lab/sums, test_fraction: 0.3}\n');
  writeFileSync(join(cwd, 'a.yaml'), `${config}benchmarks: {source: files, path: ., tasks: [gsm8k]}\n`);
  writeFileSync(join(cwd, 'gsm8k.jsonl'), '');
  const rrr = (args: string[], env: Record<string, string>) =>
    execa('node', [resolve('dist/main.js'), ...args], {
      cwd,
      reject: false,
      env: { HF_HOME: join(cwd, 'home'), OMP_WAIT_POLICY: 'PASSIVE', ...env },
    });
  const offline = { HF_HUB_OFFLINE: '1', HF_ENDPOINT: 'http://127.0.0.1:9' };

  const early = await rrr(['build-failures', '-c', 'a.yaml', '--run', 'early'], offline);
  expect(early.exitCode).toBe(2);
  expect(early.stderr).toContain('lab/tiny at main is not in the cache of this machine');
  expect(early.stderr).toContain('rrr fetch -c CONFIG');

  const hub = await startHub(join(cwd, 'hub'));
  const fetched = await rrr(['fetch', '-c', 'a.yaml', '--json'], { HF_ENDPOINT: hub.address });
  await hub.gone();
  expect(fetched.exitCode, fetched.stderr).toBe(0);
  const { repos } = JSON.parse(fetched.stdout);
  const commits = Object.fromEntries(repos.map(({ name, commit }: Record<string, string>) => [name, commit]));
  expect(Object.keys(commits)).toEqual(['lab/tiny@main', 'datasets/lab/sums@main']);
  const ofRun = () => JSON.parse(readFileSync(join(cwd, 'runs/a/run.json'), 'utf8')).hub;
  expect(ofRun()).toEqual(commits);
  expect(JSON.parse((await rrr(['status', 'runs/a', '--json'], {})).stdout).state).toBe('new');

  // What a branch is by now is another commit, which nobody has fetched: the run's own are used.
  for (const repo of ['models--lab--tiny', 'datasets--lab--sums'])
    writeFileSync(join(cwd, 'home/hub', repo, 'refs/main'), '1'.repeat(40));
  const { exitCode, stderr, stdout } = await rrr(
    ['build-failures', '-c', 'a.yaml', '--json', '--set', 'failures.max_draws=2'],
    offline,
  );
  expect(exitCode, stderr).toBe(0);
  expect(JSON.parse(stdout).draws).toBeGreaterThan(0);
  expect(ofRun()).toEqual(commits);
});
