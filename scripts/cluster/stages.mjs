// All stages with a model: here, and in a job of two nodes whose trainer meets with faults. Both must give the same.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { PYTHON } from '../faults/engines.mjs';
import { kill, until } from '../faults/processes.mjs';
import { FaultRun } from '../faults/run.mjs';
import { allocate, findOn, release } from './operator.mjs';

const TRAINER = '-m rrr_workers.roles.trainer';
/** How far weights may be apart. */
const LIMIT = 1e-6;
const IN_JOB = ['launch.kind=slurm', 'launch.slurm.nodes=2'];

/** The largest distance of two weights of the same name, in two folders of safetensors. */
const COMPARE = `
import glob, sys
import numpy
from safetensors.numpy import load_file
one, other = ({n: t for f in glob.glob(p + "/*.safetensors") for n, t in load_file(f).items()} for p in sys.argv[1:])
assert one.keys() == other.keys() and one
print(max(float(numpy.abs(one[n].astype("float64") - other[n].astype("float64")).max()) for n in one))
`;

/**
 * @param {FaultRun} run
 * @param {string} command
 * @param {import('../faults/types.ts').StartOptions} [options]
 */
async function finish(run, command, options) {
  const { code, stderr } = await run.start({ command, ...options }).ended;
  if (code !== 0) throw new Error(`rrr ${command}: exit ${code}: ${stderr}`);
  return stderr;
}

/** @param {FaultRun} run */
const steps = (run) =>
  run.lines('train/events.jsonl').filter((line) => JSON.parse(line).kind === 'checkpoint').length;

/**
 * Training whose port is taken at first; then its second rank is killed, and at last rrr itself.
 * @param {FaultRun} run
 * @param {string} job
 */
async function trainUnderFaults(run, job) {
  const env = { SLURM_JOB_ID: job };
  const taken = createServer().listen(20_000 + ((Number(job) * 8) % 10_000), '0.0.0.0');
  await once(taken, 'listening');
  const first = run.start({ command: 'train', sets: IN_JOB, env });
  const rank = () => findOn('n2', TRAINER);
  await until('a checkpoint', () => steps(run) > 0, 300);
  taken.close();
  kill({ pid: (await rank()).pid });
  const before = steps(run);
  await until('another checkpoint', () => steps(run) > before, 300);
  kill({ pid: first.pid });
  const { stderr } = await first.ended;
  const left = await run.leftovers();
  const log = await finish(run, 'train', { args: ['--resume'], sets: IN_JOB, env });
  const faults = {
    'port taken': /^trainer: .*: n1: task 0: Exited with exit code 1; starting it again \(1 of 2\)$/m.test(
      stderr,
    ),
    'rank SIGKILLed on the other node':
      /^trainer: .*: n2: task 1: Exited with exit code 137; starting it again/m.test(stderr),
    'rrr SIGKILLed in training': left.length === 0 && /training goes on from step/.test(log),
  };
  for (const [name, ok] of Object.entries(faults))
    process.stdout.write(`| ${ok ? 'ok' : 'BROKEN'} | ${name} |\n`);
  if (Object.values(faults).includes(false)) process.stdout.write(`${stderr}\n`);
  return { rows: 3, ok: Object.values(faults).filter(Boolean).length, left: left.length };
}

/** Whether all stages are done there, and are the same as here. */
export async function runStages() {
  const [here, there] = [new FaultRun('small', undefined), new FaultRun('small', undefined)];
  let job = '';
  try {
    await finish(here, 'build-failures', { sets: ['workers.count=1'] });
    await finish(here, 'train');
    job = await allocate(2);
    await finish(there, 'build-failures', { sets: IN_JOB, env: { SLURM_JOB_ID: job } });
    const same_failures = here.digests() === there.digests();
    const faults = await trainUnderFaults(there, job);
    await release(job);
    const models = [here, there].map((run) => join(run.directory, 'train/model'));
    const weights_differ_by = Number(execFileSync(PYTHON, ['-c', COMPARE, ...models], { encoding: 'utf8' }));
    // rrr runs on a node of the job, as after rrr submit.
    there.prefix = [
      'sbatch',
      '--wait',
      '--nodes=2',
      '--exclusive',
      '--mem=0',
      '--output',
      join(there.home, 'job.%j.log'),
    ];
    there.prefix.push(join(import.meta.dirname, 'job.sh'));
    const stages = ['build-failures', 'train'];
    for (const stage of ['eval', 'benchmarks']) {
      await finish(there, stage, { sets: IN_JOB });
      stages.push(stage);
    }
    const left = faults.left + (await there.leftovers()).length;
    const told = { stages_ok: stages.length, same_failures, weights_differ_by };
    return { told, faults, left, good: same_failures && weights_differ_by <= LIMIT };
  } catch (error) {
    process.stdout.write(`${error instanceof Error ? error.message : error}\n`);
    return {
      told: { stages_ok: 0 },
      faults: { rows: 0, ok: 0 },
      left: there.processes().length,
      good: false,
    };
  } finally {
    if (job !== '') await release(job);
    for (const run of [here, there]) run.close();
  }
}
