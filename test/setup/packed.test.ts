/** What npm packs, installed into an empty folder, with the light set-up: a machine without a clone and without vLLM. */
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { input } from '../report/fixture.ts';
import { writeRun } from '../stages/finished-run.ts';

const INSTALL_MS = 600_000;
// Each test starts a dozen processes.
vi.setConfig({ testTimeout: 200_000 });

let folder: string;
let python: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'rrr-test-'));
  // The tests' own set-up has built it.
  const { stdout: tarball } = await execa('npm', [
    ...['pack', '--silent', '--ignore-scripts', '--pack-destination', folder],
  ]);
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];
  await execa('npm', ['install', '--prefer-offline', ...quiet, join(folder, tarball)], { cwd: folder });
  const { exitCode, stdout, stderr } = await rrr(['setup', '--stack', 'light', '--json']);
  expect(exitCode, stderr).toBe(0);
  ({ python } = JSON.parse(stdout));
  for (const seed of [1, 2]) {
    writeRun(join(folder, `runs/seed-${seed}`), { ...input, config: { ...input.config, seed } });
  }
}, INSTALL_MS);
afterAll(() => rmSync(folder, { recursive: true }), INSTALL_MS);

const CONFIGS = 'node_modules/rrr/configs';

/** In the folder, with a cache of its own. Nothing is fetched from the hub. */
function rrr(args: string[]) {
  const own = { RRR_CACHE: join(folder, 'cache'), RRR_PYTHON: undefined, RRR_STACK: undefined };
  const env = { ...own, PYTHONPATH: undefined, HF_HUB_OFFLINE: '1', PIP_NO_COMPILE: '1' };
  return execa(join(folder, 'node_modules/.bin/rrr'), args, { cwd: folder, reject: false, env });
}

async function ok(...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await rrr(args);
  expect(exitCode, stderr).toBe(0);
  return stdout;
}

function sitePackages(): string {
  const library = join(python, '../../lib');
  return join(library, `${readdirSync(library)}`, 'site-packages');
}

test('what needs no model works', async () => {
  // The workers are those of the rrr that starts them, whatever the Python has.
  rmSync(join(sitePackages(), 'rrr-workers.pth'));
  expect(python.startsWith(join(folder, 'cache/python/light-'))).toBe(true);
  expect(await ok('--version')).toBe('0.1.0');
  const given = (task: string) => [
    '-c',
    `${CONFIGS}/smollm2-${task}.yaml`,
    '--set',
    'model.name=owner/model',
  ];
  const plan = await ok('build-failures', ...given('countdown'), '--dry-run');
  expect(plan).toContain('rrr build-failures would do this');
  expect(JSON.parse(await ok('data', 'stats', ...given('countdown'), '--json'))).toMatchObject({
    bad_rows: 0,
  });
  expect(await ok('task', 'check', ...given('functions'))).toContain('it holds');
  expect(await ok('report', 'runs/seed-1')).toContain('Second try');
  expect(existsSync(join(folder, 'runs/seed-1/eval/report.html'))).toBe(true);
  await ok('compare', 'runs/seed-1', 'runs/seed-2');
});

test('the set-up is quick when nothing changed', async () => {
  expect(JSON.parse(await ok('setup', '--json'))).toMatchObject({ stack: 'light', changed: false, python });
});

test('a command that needs more is refused before anything starts, with what cures it', async () => {
  const config = ['-c', `${CONFIGS}/countdown-qwen2.5-1.5b.yaml`];
  for (const [command, lacks] of [
    ['build-failures', 'rrr build-failures: this Python has no vllm'],
    ['run', 'rrr build-failures, rrr train, rrr eval: this Python has no vllm, torch, trl'],
  ] as const) {
    const { exitCode, stderr } = await rrr([command, ...config, '--run', 'runs/none']);
    expect(stderr).toContain(`error: ${lacks}: ${python}\n`);
    expect(stderr).toContain('cure: rrr setup --stack cpu');
    expect(exitCode).toBe(2);
  }
  expect(existsSync(join(folder, 'runs/none'))).toBe(false);
  expect((await rrr(['try', 'runs/seed-1'])).stderr).toContain('error: rrr try: this Python has no vllm');
  const tiny = await rrr(['setup', '--tiny-model']);
  expect(tiny.stderr).toContain('making the tiny model needs torch');
  expect(tiny.exitCode).toBe(2);
});

test('failures of a model at an endpoint', async () => {
  const server = createServer(async (request, reply) => {
    for await (const _ of request);
    const completion = {
      choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: '1 + 1' } }],
      usage: { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 },
    };
    const models = { object: 'list', data: [{ id: 'm', object: 'model' }] };
    reply.setHeader('content-type', 'application/json');
    reply.end(JSON.stringify(request.method === 'GET' ? models : completion));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  const config = {
    model: { name: 'm' },
    data: { source: 'generator', rows: 20, test_fraction: 0.5 },
    engine: { name: 'openai', openai: { base_urls: [url] } },
    failures: { max_draws: 2 },
  };
  writeFileSync(join(folder, 'endpoint.yaml'), JSON.stringify(config));
  const { kept, queries } = JSON.parse(await ok('build-failures', '-c', 'endpoint.yaml', '--json'));
  expect(kept).toBe(queries);
  expect(await ok('status', 'runs/endpoint')).toMatch(/failures +finished/);
  expect(await ok('logs', 'runs/endpoint')).toContain('worker ready');
  const training = await rrr(['train', '-c', 'endpoint.yaml']);
  expect(training.stderr).toContain('rrr train: this Python has no torch, trl, vllm');
  const all = await rrr(['run', '-c', 'endpoint.yaml', '--run', 'runs/all']);
  expect(all.stderr).toContain('rrr train, rrr eval: this Python has no torch, trl, vllm');
});

test('the doctor knows the light set-up, and names a package that is off its lock', async () => {
  const { ok: well, findings } = JSON.parse(await ok('doctor', '--json'));
  const ids = findings.map(({ id }: { id: string }) => id);
  expect(well).toBe(true);
  expect(ids).toContain('light_set_up');
  expect(ids).not.toContain('package_off_lock');

  const site = sitePackages();
  const info = readdirSync(site).find((name) => /^idna-.*\.dist-info$/.test(name)) as string;
  writeFileSync(join(site, info, 'METADATA'), 'Name: idna\nVersion: 3.1\n');
  const { stdout, exitCode } = await rrr(['doctor', '--json']);
  expect(exitCode).toBe(2);
  expect(JSON.parse(stdout).findings[0]).toMatchObject({
    id: 'package_off_lock',
    level: 'error',
    found: expect.stringContaining('light.lock says: idna 3.1 (locked: 3.'),
  });
});
