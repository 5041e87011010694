/** Steps of a Slurm job whose commands are scripts here. On a real Slurm: scripts/cluster.sh test. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { Config } from '../../src/config/schema.ts';
import { readAllocation } from '../../src/launch/allocation.ts';
import { LocalLauncher } from '../../src/launch/local.ts';
import { findPython } from '../../src/launch/python.ts';
import { SlurmLauncher } from '../../src/launch/slurm.ts';
import { Worker } from '../../src/workers/worker.ts';
import { expectGone, makeConfig, quiet, temporaryFolder } from '../workers/harness.ts';

const FIXTURES = join(import.meta.dirname, '../fixtures');

/** Two parts, as where a job has another share of its last node. */
const JOB =
  'JobId=7 JobState=RUNNING   Nodes=n[1-2] CPU_IDs=0-3,8-11 Mem=8000 GRES=gpu:h100:2(IDX:0-1),nic:1(IDX:0)' +
  '   Nodes=n7 CPU_IDs=0-5 Mem=4000 GRES=';

function fakeSlurm(job = JOB): string {
  const folder = temporaryFolder();
  const scripts = {
    scontrol: `case "$*" in
  *'show job 7') echo '${job}' ;;
  *'hostnames n[1-2]') printf 'n1\\nn2\\n' ;;
  *hostnames*) echo "\${@: -1}" ;;
  *'show node'*) echo "NodeName=x NodeAddr=10.0.0.\${@: -1} ThreadsPerCore=2" ;;
  *) echo 'Invalid job id specified' >&2; exit 1 ;;
esac`,
    squeue: `echo "$*" | grep -q -e --steps && echo '7.3 sampler-1' || echo RUNNING`,
    scancel: `echo "$*" > ${folder}/cancelled`,
    srun: `printf '%s\\n' "$@" > ${folder}/options
env > ${folder}/env
while [[ $1 == -* ]]; do shift; done
SLURM_PROCID=0 SLURM_NTASKS=1 exec "$@"`,
  };
  for (const [name, script] of Object.entries(scripts))
    writeFileSync(join(folder, name), `#!/bin/bash\n${script}\n`, { mode: 0o755 });
  vi.stubEnv('PATH', `${folder}:${process.env.PATH}`);
  vi.stubEnv('SLURM_JOB_ID', '7');
  onTestFinished(() => void vi.unstubAllEnvs());
  return folder;
}

test('the nodes of the job, with the part of each that it has', async () => {
  fakeSlurm();
  const large = { address: '10.0.0.n1', cpus: 8, threadsPerCore: 2, memory: 8000, gpus: 2 };
  expect(await readAllocation({ nodes: 3, gpus_per_node: 0 })).toEqual({
    job: '7',
    nodes: [
      { ...large, name: 'n1' },
      { ...large, name: 'n2', address: '10.0.0.n2' },
      { name: 'n7', address: '10.0.0.n7', cpus: 6, threadsPerCore: 2, memory: 4000, gpus: 0 },
    ],
  });
  expect((await readAllocation({ nodes: 2, gpus_per_node: 2 })).nodes).toHaveLength(2);
});

test.each<[string, Partial<Config['launch']['slurm']>, NodeJS.ProcessEnv, string]>([
  ['no job', {}, { SLURM_JOB_ID: undefined }, 'launch.kind is slurm, and this is no Slurm job'],
  ['a job that is over', {}, { SLURM_JOB_ID: '8' }, 'show job 8 fails: Invalid job id specified'],
  [
    'no Slurm',
    {},
    { PATH: '/nowhere' },
    'scontrol --details --oneliner show job 7 fails: spawn scontrol ENOENT',
  ],
  ['too few nodes', { nodes: 4 }, {}, 'launch.slurm.nodes is 4, and job 7 has 3: n1, n2, n7'],
  ['too few GPUs', { nodes: 3, gpus_per_node: 2 }, {}, 'gpus_per_node is 2, and job 7 has 0 on n7'],
])('%s is told before anything starts', async (_, slurm, env, message) => {
  fakeSlurm();
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  await expect(readAllocation({ nodes: 1, gpus_per_node: 0, ...slurm })).rejects.toThrow(message);
});

async function makeLauncher(nodes: number, gpusPerNode: number) {
  const [python, logs] = [findPython({}), temporaryFolder()];
  const local = new LocalLauncher({ python, logs, env: { PYTHONPATH: `${FIXTURES}:workers` } });
  const allocation = await readAllocation({ nodes, gpus_per_node: gpusPerNode });
  return new SlurmLauncher(local, allocation, { python, logs, srun: ['--container-image=x'], gpusPerNode });
}

test('a worker asks for its share of its node, and frames go through srun', async () => {
  const folder = fakeSlurm();
  vi.stubEnv('SLURM_MEM_PER_CPU', '100');
  vi.stubEnv('SLURM_CONF', '/etc/slurm.conf');
  vi.stubEnv('CUDA_VISIBLE_DEVICES', '0,1');
  const config = makeConfig();
  const spec = { name: 'sampler-1', module: 'fake_worker', config, options: { index: 1 }, readyTimeoutS: 30 };
  const launcher = await makeLauncher(2, 2);
  const worker = new Worker({ ...spec, share: { index: 1, count: 3, gpus: 1 } }, { launcher, log: quiet });
  await worker.ready;
  expect(await worker.call('echo', { a: 1 }, { timeoutS: 30 })).toMatchObject({ a: 1, index: 1 });
  await worker.stop(30);
  const options = readFileSync(join(folder, 'options'), 'utf8').split('\n');
  expect(
    options.slice(
      0,
      options.findIndex((option) => !option.startsWith('-')),
    ),
  ).toEqual([
    '--jobid=7',
    '--job-name=sampler-1',
    '--nodes=1',
    '--ntasks=1',
    '--ntasks-per-node=1',
    '--nodelist=n2',
    '--exact',
    '--cpus-per-task=4',
    '--mem=3800M',
    '--gres=gpu:1',
    '--export=ALL',
    '--mpi=none',
    '--kill-on-bad-exit=1',
    '--wait=0',
    '--container-image=x',
  ]);
  const env = readFileSync(join(folder, 'env'), 'utf8');
  expect(env).toMatch(/^SLURM_CONF=\/etc\/slurm.conf$/m);
  expect(env).not.toMatch(/^(SLURM_MEM_PER_CPU|SLURM_JOB_ID|CUDA_VISIBLE_DEVICES)=/m);
});

test('a step is asked to end by scancel, as SIGTERM ends srun and all at once; a kill leaves nobody', async () => {
  const folder = fakeSlurm();
  const launcher = await makeLauncher(1, 0);
  const worker = launcher.launch({
    name: 'sampler-1',
    module: 'fake_worker',
    share: { index: 0, count: 1, gpus: 0 },
  });
  await new Promise((resolve) => worker.stdout.once('data', resolve));
  worker.signal('SIGTERM');
  await vi.waitFor(() => expect(readFileSync(join(folder, 'cancelled'), 'utf8')).toBe('--signal=TERM 7.3\n'));
  worker.signal('SIGKILL');
  expect(await worker.exited).toBe('killed by SIGKILL on n1');
  await expectGone([worker]);
});

test('more workers than CPUs are refused', async () => {
  fakeSlurm();
  const launcher = await makeLauncher(1, 0);
  const share = { index: 0, count: 9, gpus: 0 };
  expect(() => launcher.launch({ name: 'sampler-0', module: 'fake_worker', share })).toThrow(
    "9 workers can't share the 8 CPUs of job 7 on n1",
  );
});
