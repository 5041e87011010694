// What rrr promises of its workers in steps of a Slurm job: one row each, as in scripts/faults/rows.mjs. The job has two nodes.
import { until } from '../faults/processes.mjs';
import { bringNode, findOn, loseNode, processesOn, slurm, stepsOf } from './operator.mjs';

/** @import { FaultRun } from '../faults/run.mjs' */
/** @import { Outcome, StartOptions } from '../faults/types.ts' */

/**
 * A run in a job. `again`: to start it in another one.
 * @typedef {{ run: FaultRun, job: string, env: NodeJS.ProcessEnv, again: () => Promise<NodeJS.ProcessEnv> }} InJob
 */
/** @typedef {(where: InJob) => Promise<Outcome>} Row */

const CURE = /^cure: ./;
const WORKER = '-m fake_worker';

/** @param {string} why */
const restarted = (why) => new RegExp(`^sampler-1: ${why}.*; starting it again \\(1 of 3\\)$`, 'm');

/**
 * A worker on the second node meets with a signal.
 * @param {InJob} where
 * @param {NodeJS.Signals} signal
 * @param {string} why
 * @param {StartOptions} [options]
 */
async function strikeWorker({ run, env }, signal, why, options = {}) {
  const rrr = await run.startWorking({ ...options, env });
  run.strike({ pid: (await findWorker(run)).pid, signal });
  return run.goesOn(rrr, restarted(why));
}

/**
 * rrr meets with a signal, and more of its processes are killed.
 * @param {InJob} where
 * @param {NodeJS.Signals} signal
 * @param {(run: FaultRun) => Promise<{ pid: number, signal?: NodeJS.Signals }[]>} [others]
 */
async function strikeRrr({ run, env }, signal, others = async () => []) {
  const rrr = await run.startWorking({ env });
  run.strike(...(await others(run)), { pid: rrr.pid, signal });
  return run.resumes(rrr, signal === 'SIGKILL' ? signal : 130, env);
}

/**
 * The worker on the second node, which has calls by now.
 * @param {FaultRun} run
 */
async function findWorker(run) {
  await until('sampler-1', () =>
    run.events().some(({ worker, event }) => worker === 'sampler-1' && event === 'ready'),
  );
  return findOn('n2', WORKER);
}

/** @type {Record<string, Row>} */
export const ROWS = {
  'four workers on two nodes of two GPUs each': async ({ run, env }) => {
    const sets = ['workers.count=4', 'launch.slurm.gpus_per_node=2'];
    const rrr = await run.startWorking({ sets, env });
    const seen = () => run.events().flatMap((line) => (line.event === 'ready' ? [line.info] : []));
    await until('four workers', () => seen().filter(({ node }) => node).length === 4);
    run.strike();
    const outcome = await run.goesOn(rrr);
    const places = seen()
      .flatMap(({ node, gpus }) => (node ? [`${node}: ${gpus}`] : []))
      .sort();
    const ok = places.join(', ') === 'n1: 0, n1: 1, n2: 0, n2: 1';
    return {
      ...outcome,
      ok: outcome.ok && ok,
      shown: `${outcome.shown}; GPU of each worker: ${places.join(', ')}`,
    };
  },
  'worker SIGKILLed': (where) => strikeWorker(where, 'SIGKILL', 'killed by SIGKILL on n2'),
  'worker hung (SIGSTOP)': (where) =>
    strikeWorker(where, 'SIGSTOP', 'no answer to sample_failures within 3 s', {
      sets: ['workers.call_timeout_s=3'],
    }),
  'step cancelled': async ({ run, job, env }) => {
    const rrr = await run.startWorking({ env });
    await findWorker(run);
    const step = (await stepsOf(job)).find(({ name }) => name === 'sampler-1');
    run.struckAt = Date.now();
    await slurm('scancel', String(step?.id));
    run.letGo();
    return run.goesOn(rrr, restarted('killed by SIG(TERM|KILL) on n2'));
  },
  'rrr SIGKILLed': (where) => strikeRrr(where, 'SIGKILL'),
  'rrr SIGKILLed, a worker is deaf': (where) =>
    strikeRrr(where, 'SIGKILL', async (run) => [{ pid: (await findWorker(run)).pid, signal: 'SIGSTOP' }]),
  'rrr and the guardians of srun at once': (where) =>
    strikeRrr(where, 'SIGKILL', async (run) =>
      run.processes().filter(({ command }) => / --program srun /.test(command)),
    ),
  'rrr SIGINT': (where) => strikeRrr(where, 'SIGINT'),
  'no room on a node': async ({ run, job, env }) => {
    const memory = ['--exact', '--nodes=1', '--ntasks=1', '--nodelist=n2', '--mem=8000'];
    const other = slurm('srun', `--jobid=${job}`, ...memory, 'sleep', '60').catch(() => {});
    await findOn('n2', 'sleep 60');
    const sets = ['workers.ready_timeout_s=12', 'workers.max_restarts=0'];
    const rrr = await run.startWorking({ sets, env });
    await until('its loss', () =>
      run.events().some(({ worker, event }) => worker === 'sampler-1' && event === 'lost'),
    );
    run.strike();
    const note = /^sampler-1: no hello frame within 12 s .*; going on with 1 of 2 workers$/m;
    const outcome = await run.goesOn(rrr, note);
    const log = run.read('logs/sampler-1.1.stderr');
    for (const { id } of await stepsOf(job)) await slurm('scancel', id);
    await other;
    const ok = outcome.ok && /pending job step|Requested nodes are busy/.test(log);
    return { ...outcome, ok, shown: `${outcome.shown}; log: ${log.split('\n')[0]}` };
  },
  'job cancelled': async ({ run, job, env, again }) => {
    const rrr = await run.startWorking({ env });
    run.struckAt = Date.now();
    await slurm('scancel', job);
    const says = [/no worker is left; sampler-\d: .*job \d+ is (COMPLETING|CANCELLED)/, CURE];
    return stopsThenResumes(run, await run.stops(rrr, { exit: 1, says }), again);
  },
  'node lost': async ({ run, env, again }) => {
    const rrr = await run.startWorking({ env });
    run.struckAt = Date.now();
    loseNode('n2');
    try {
      const says = [/no worker is left; sampler-\d: .*job \d+ is (COMPLETING|NODE_FAIL)/, CURE];
      const stopped = await run.stops(rrr, { exit: 1, says });
      await bringNode('n2');
      return await stopsThenResumes(run, stopped, again);
    } finally {
      if (!processesOn('n2').some(({ command }) => command.startsWith('slurmd '))) await bringNode('n2');
    }
  },
};

/**
 * @param {FaultRun} run
 * @param {Outcome} stopped
 * @param {InJob['again']} again
 */
async function stopsThenResumes(run, stopped, again) {
  const { seconds } = run;
  const leftovers = await run.leftovers();
  run.letGo();
  const resumed = await run.goesOn(run.start({ args: ['--resume'], env: await again() }));
  const ok = stopped.ok && resumed.ok && leftovers.length === 0;
  const shown = `${stopped.shown}; ${resumed.shown}`;
  return { ok, outcome: `${stopped.outcome}; --resume ${resumed.outcome}`, shown, seconds, leftovers };
}
