/** `rrr doctor` on a machine that is well, and with one fault at a time: each is named. */
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHub, type IncomingMessage } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { makeModel } from './fixtures/model.ts';
import { makeRecordedPython } from './fixtures/recorded-python.ts';
import { temporaryFolder } from './workers/harness.ts';

const MAIN = resolve('dist/main.js');
const GPU = { driver: '580.65.06', used: 4 };

let pythons: string;
let python: string;
beforeAll(async () => {
  pythons = mkdtempSync(join(tmpdir(), 'rrr-test-'));
  python = await makeRecordedPython(join(pythons, 'cuda'), 'cuda', { cuda: '13.0' });
});
afterAll(() => rmSync(pythons, { recursive: true }));

interface Diagnosis {
  ok: boolean;
  findings: { id: string; level: string; found: string; cure: string }[];
}

/** A machine that is well: a GPU, the CUDA stack, a hub that gives all, a Slurm with the partition. */
async function makeMachine() {
  const cwd = temporaryFolder();
  const program = (name: string, script: string) =>
    writeFileSync(join(cwd, 'bin', name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const gpu = ({ driver, used }: typeof GPU) =>
    program(
      'nvidia-smi',
      `case "$1" in --query-gpu=*) echo "0, NVIDIA H100 80GB HBM3, ${driver}, 81559, ${used}" ;; *) echo "4711, python, ${used}" ;; esac`,
    );
  mkdirSync(join(cwd, 'bin'));
  gpu(GPU);
  program('sinfo', 'printf "debug\\ngpu\\n"');
  makeModel(join(cwd, 'model'));
  const config = {
    model: { name: './model' },
    data: { source: 'hub', dataset: 'owner/rows' },
    launch: { kind: 'slurm', slurm: { partition: 'gpu' } },
  };
  const hub = await serveHub();
  const env: Record<string, string | undefined> = {
    PATH: [join(cwd, 'bin'), process.env.PATH].join(delimiter),
    RRR_PYTHON: python,
    HF_ENDPOINT: hub.url,
    HF_HOME: join(cwd, 'hub'),
    HF_TOKEN: undefined,
    HF_HUB_OFFLINE: undefined,
    MASTER_PORT: undefined,
    CUDA_VISIBLE_DEVICES: undefined,
  };
  const doctor = async (args: string[] = ['-c', 'a.yaml'], wrap: string[] = []): Promise<Diagnosis> => {
    writeFileSync(join(cwd, 'a.yaml'), JSON.stringify(config));
    const [command = '', ...words] = [...wrap, process.execPath, MAIN, 'doctor', '--json', ...args];
    const { stdout, stderr, exitCode } = await execa(command, words, { cwd, reject: false, env });
    const diagnosis = JSON.parse(stdout.split('\n').at(-1) || 'null') as Diagnosis;
    expect(exitCode, stderr).toBe(diagnosis.ok ? 0 : 2);
    return diagnosis;
  };
  return { cwd, env, config, hub, gpu, program, doctor };
}

type Machine = Awaited<ReturnType<typeof makeMachine>>;

/** A hub that answers as `reply` says. */
async function serveHub() {
  const asked: IncomingMessage[] = [];
  const hub = { url: '', asked, reply: { status: 200, code: '' } };
  const server = createHub((request, response) => {
    asked.push(request);
    response.writeHead(hub.reply.status, { 'x-error-code': hub.reply.code }).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  hub.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return hub;
}

const errorsOf = ({ findings }: Diagnosis) => findings.filter(({ level }) => level === 'error');

test('a machine that is well', async () => {
  const { doctor, hub } = await makeMachine();
  expect(errorsOf(await doctor())).toEqual([]);
  expect(hub.asked.map(({ url }) => url)).toEqual(['/api/datasets/owner/rows/auth-check']);
});

test('this machine, for people: exit code 0', async () => {
  const { stdout, exitCode } = await execa(process.execPath, [MAIN, 'doctor'], { reject: false });
  expect(stdout).toMatch(/no error found$/);
  expect(exitCode).toBe(0);
});

/** Plants the fault; gives words that the finding must hold. */
const FAULTS: Record<string, (machine: Machine) => Promise<string[]> | string[]> = {
  node_too_old: ({ env, cwd }) => {
    const old =
      "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '18.20.8' } })";
    writeFileSync(join(cwd, 'old.cjs'), old);
    env.NODE_OPTIONS = `--require ${join(cwd, 'old.cjs')}`;
    return ['18.20.8'];
  },
  no_python_environment: ({ env }) => {
    env.RRR_PYTHON = '/nowhere/python';
    return ['/nowhere/python', 'rrr setup'];
  },
  python_too_old: ({ env, cwd, program }) => {
    program('python', 'echo 3 9');
    env.RRR_PYTHON = join(cwd, 'bin/python');
    return ['3.9'];
  },
  torch_cuda_mismatch: async ({ env, cwd }) => {
    env.RRR_PYTHON = await makeRecordedPython(join(cwd, 'python'), 'cuda', { cuda: null });
    return ['built for CPUs', 'H100', 'rrr setup --stack cuda'];
  },
  driver_too_old: ({ gpu }) => {
    gpu({ ...GPU, driver: '535.183.01' });
    return ['535.183.01', '580'];
  },
  no_driver: ({ program }) => {
    program('nvidia-smi', 'echo "NVIDIA-SMI has failed because it couldn\'t communicate"; exit 9');
    return ["couldn't communicate"];
  },
  gpu_memory_taken: ({ gpu }) => {
    gpu({ ...GPU, used: 60_000 });
    return ['60000 of 81559 MiB', '4711, python', 'engine.gpu_memory_utilization'];
  },
  tmpdir_too_long: ({ env, cwd }) => {
    const folder = join(cwd, 'long'.repeat(20));
    mkdirSync(folder);
    env.TMPDIR = folder;
    return [folder, 'TMPDIR'];
  },
  no_hub_token: ({ hub }) => {
    hub.reply = { status: 401, code: 'GatedRepo' };
    return ['data.dataset: owner/rows', 'HF_TOKEN'];
  },
  gated_refused: ({ hub, env }) => {
    hub.reply = { status: 403, code: 'GatedRepo' };
    env.HF_TOKEN = 'mine';
    return ['data.dataset: owner/rows', `${hub.url}/datasets/owner/rows`];
  },
  not_on_hub: ({ hub, env, config }) => {
    hub.reply = { status: 404, code: 'RepoNotFound' };
    env.HF_TOKEN = 'mine';
    config.data = { source: 'generator', dataset: 'owner/rows' };
    Object.assign(config.data, { rows: 10 });
    config.model.name = 'owner/model';
    return ['model.name: owner/model'];
  },
  port_taken: async ({ env }) => {
    const server = createServer().listen(0);
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    env.MASTER_PORT = `${port}`;
    return [`MASTER_PORT ${port}`];
  },
  bad_partition: ({ config }) => {
    config.launch.slurm.partition = 'gpus';
    return ['gpus', 'use one of: debug, gpu'];
  },
  no_slurm: ({ env, cwd }) => {
    rmSync(join(cwd, 'bin/sinfo'));
    env.PATH = join(cwd, 'bin');
    return ['sinfo'];
  },
  config_problem: ({ config }) => {
    Object.assign(config, { sead: 1 });
    return ['a.yaml:1:', 'sead: no such key', 'did you mean seed?'];
  },
};

describe('one fault at a time', () => {
  test.each(Object.entries(FAULTS))('%s', async (id, plant) => {
    const machine = await makeMachine();
    const words = await plant(machine);
    const errors = errorsOf(await machine.doctor());
    expect(errors.map((finding) => finding.id)).toEqual([id]);
    for (const word of words) expect(`${errors[0]?.found} ${errors[0]?.cure}`).toContain(word);
  });

  test('package_off_lock', async () => {
    const { env, cwd, doctor } = await makeMachine();
    const changed = { cuda: '13.0', versions: { transformers: '4.57.0' } };
    env.RRR_PYTHON = await makeRecordedPython(join(cwd, 'python'), 'cuda', changed);
    const { ok, findings } = await doctor();
    // It is no environment that rrr made: test/setup/light.test.ts has one.
    expect(findings.map(({ id, level }) => [id, level])).toContainEqual(['package_off_lock', 'warning']);
    expect(ok).toBe(true);
    expect(findings.find(({ id }) => id === 'package_off_lock')?.found).toMatch(
      /cuda\.lock says: transformers 4\.57\.0 \(locked: 5\./,
    );
  });

  test('disk_full, on a disk of its own', async ({ skip }) => {
    const { cwd, doctor } = await makeMachine();
    const disk = join(cwd, 'disk');
    mkdirSync(disk);
    const script = 'mount -t tmpfs -o size=2m tmpfs "$0" || exit 77; exec "$@"';
    const wrap = ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c', script, disk];
    const { exitCode } = await execa(wrap[0] as string, [...wrap.slice(1), 'true'], { reject: false });
    if (exitCode !== 0) skip('nobody may mount here');
    const errors = errorsOf(await doctor(['-c', 'a.yaml', '--run', 'disk/run'], wrap));
    expect(errors.map(({ id }) => id)).toEqual(['disk_full']);
    expect(errors[0]?.found).toContain('0.00 GiB left');
  });
});

test('a hub that is away, or told not to be asked, is no error', async () => {
  const { env, doctor } = await makeMachine();
  env.HF_ENDPOINT = 'http://127.0.0.1:9';
  const away = await doctor();
  expect(away.findings.find(({ id }) => id === 'hub_not_asked')?.level).toBe('info');
  env.HF_HUB_OFFLINE = '1';
  const { ok, findings } = await doctor();
  expect(ok).toBe(true);
  expect(findings.find(({ id }) => id === 'hub_not_asked')?.found).toContain('HF_HUB_OFFLINE');
});

test('on a machine where nothing works it says so, and nothing else happens', async () => {
  const { env, cwd, program, doctor } = await makeMachine();
  program('nvidia-smi', 'echo garbage');
  program('sinfo', 'echo slurm_load_partitions: error >&2; exit 1');
  program('python', 'echo garbage');
  env.PATH = join(cwd, 'bin');
  env.RRR_PYTHON = join(cwd, 'bin/python');
  env.TMPDIR = '/nowhere';
  env.MASTER_PORT = 'port';
  env.HF_ENDPOINT = 'nonsense';
  const { findings } = await doctor();
  const ids = findings.map(({ id }) => id);
  for (const id of [
    'no_python_environment',
    'no_tmpdir',
    'port_taken',
    'no_driver',
    'slurm_not_asked',
    'hub_not_asked',
  ])
    expect(ids).toContain(id);
  expect((await doctor(['-c', 'missing.yaml'])).findings[0]).toMatchObject({ id: 'config_problem' });
});
