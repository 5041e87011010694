// What rrr submit, status, logs and cancel promise of a job: one row each, of which test.mjs makes a table.
import { appendFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { JobHome } from './home.mjs';
import { bringNode, loseNode, slurm } from './operator.mjs';

/** @typedef {() => Promise<string>} Row what became of it; throws where a promise is broken */

const ALL = Array.from({ length: 20 }, (_, index) => index + 1);
/** So slow that there is time to interrupt it. */
const SLOW = { TOY_STEP_MS: '700' };

/**
 * @param {string} what
 * @param {unknown} found
 * @param {unknown} expected
 */
function same(what, found, expected) {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what}: ${a}, not ${b}`);
}

/**
 * @param {ConstructorParameters<typeof JobHome>} options
 * @param {(home: JobHome) => Promise<string>} work
 */
async function withHome([what, options], work) {
  const home = new JobHome(what, options);
  try {
    return await work(home);
  } finally {
    await home.close();
  }
}

/** @param {JobHome} home */
async function countsToTheEnd(home, attempts = 2) {
  const { job } = await home.finished();
  same('counted', home.counted(), ALL);
  same('attempts', job.attempt, attempts);
  return `counted to 20 in ${attempts} attempt${attempts === 1 ? '' : 's'}, nothing lost or twice`;
}

/**
 * A job that takes all nodes of a partition; its id.
 * @param {string} partition
 * @param {string} command
 */
async function fill(partition, command) {
  const nodes = await slurm('sinfo', '-h', '-p', partition, '-o', '%D');
  const options = ['-p', partition, '-N', nodes, '--exclusive', '-o', '/dev/null'];
  return slurm('sbatch', '--parsable', ...options, '--wrap', command);
}

/** @type {Record<string, Row>} */
const QUICK = {
  'time limit, twice': () =>
    withHome(['toy', { env: { TOY_STEP_MS: '2000' } }], async (home) => {
      const job = await home.submit();
      for (let done = 0, cut = 0; cut < 2; cut++) {
        await home.beyond(done);
        await home.timeRunsOut(job);
        await home.startsAgain(job);
        done = (await home.status()).stages[0].done;
      }
      return countsToTheEnd(home, 3);
    }),
  'no progress in two attempts': () =>
    withHome(['toy', { env: { TOY_STEP_MS: '1000000' } }], async (home) => {
      const job = await home.submit();
      await home.until('its work', ({ state }) => state === 'running');
      await home.timeRunsOut(job);
      await home.startsAgain(job);
      await home.until('its work', ({ state }) => state === 'running');
      await home.timeRunsOut(job);
      const { job: ended } = await home.until('its end', (status) => status.job.state === 'ended');
      const why = ended.last_end.why;
      if (!/the last two attempts got no further/.test(why)) throw new Error(`it says ${why}`);
      return `stopped: ${why}`;
    }),
  'queue full': () =>
    withHome(['toy', {}], async (home) => {
      const blocker = await fill('main', 'sleep 300');
      try {
        await home.submit();
        const waiting = await home.until('a reason', ({ job }) =>
          ['Resources', 'Priority'].includes(job.slurm.reason),
        );
        same('state', waiting.state, 'waiting');
        const { stdout } = await home.call(home.command('status', 'run'));
        const followed = await home.follow();
        await slurm('scancel', blocker);
        await countsToTheEnd(home, 1);
        const told = await followed();
        if (!/pending.*(running|COMPLETED)/s.test(told)) throw new Error(`logs --follow tells: ${told}`);
        return /pending; (.*)/.exec(stdout)?.[0] ?? `status says: ${stdout}`;
      } finally {
        await slurm('scancel', blocker);
      }
    }),
  'bad partition': () =>
    withHome(['toy', { sets: ['launch.slurm.partition=mian'] }], async (home) => {
      const { code, stderr } = await home.call(home.submitting());
      same('exit code', code, 2);
      same('said', stderr.trim().split('\n'), [
        'error: launch.slurm.partition: this cluster has no partition mian',
        'cure: did you mean main?',
      ]);
      return 'exit 2, with the name that was meant';
    }),
  'a second submit while the first job lives': () =>
    withHome(['toy', { env: SLOW }], async (home) => {
      const job = await home.submit();
      const { code, stderr } = await home.call(home.submitting());
      same('exit code', code, 2);
      if (!stderr.includes(`job ${job} of this run lives`)) throw new Error(`it says ${stderr}`);
      await countsToTheEnd(home, 1);
      return 'exit 2; the first goes on';
    }),
  cancel: () =>
    withHome(['toy', { env: SLOW }], async (home) => {
      await home.submit();
      const { stages } = await home.beyond();
      const { code, stdout } = await home.call(home.command('cancel', 'run'));
      same('exit code', code, 0);
      const { job, state } = await home.status();
      same('state', [job.state, state], ['ended', 'interrupted']);
      if (home.counted().length < stages[0].done) throw new Error('work was lost');
      await home.submit('toy', '--resume');
      await countsToTheEnd(home);
      return stdout.split('\n')[0] ?? '';
    }),
  'its terminal is lost after submit': () =>
    withHome(['toy', { env: SLOW }], async (home) => {
      const lose = fileURLToPath(new URL('../../test/fixtures/lose_terminal.py', import.meta.url));
      await home.call(['python3', lose, 'is in the queue', ...home.submitting()]);
      home.jobs.add((await home.status()).job.id);
      return countsToTheEnd(home, 1);
    }),
  'its node is lost': () =>
    withHome(['toy', { env: SLOW }], async (home) => {
      const job = await home.submit();
      const { job: running } = await home.beyond();
      const node = running.slurm.nodes;
      loseNode(node, job);
      await slurm('scontrol', 'update', `nodename=${node}`, 'state=down', 'reason=lost'); // not only in SlurmdTimeout
      try {
        await home.startsAgain(job);
        return await countsToTheEnd(home);
      } finally {
        await bringNode(node);
      }
    }),
  preempted: async () => {
    const conf = process.env.SLURM_CONF ?? '';
    const lines = [
      'PreemptType=preempt/partition_prio',
      'PreemptMode=REQUEUE',
      'PartitionName=low Nodes=ALL PriorityTier=1 PreemptMode=REQUEUE MaxTime=INFINITE State=UP',
      'PartitionName=high Nodes=ALL PriorityTier=10 PreemptMode=OFF MaxTime=INFINITE State=UP',
    ];
    if (!(await slurm('sinfo', '-h', '-o', '%R')).includes('high'))
      appendFileSync(conf, `${lines.join('\n')}\n`);
    await slurm('scontrol', 'reconfigure');
    return withHome(['toy', { env: SLOW, sets: ['launch.slurm.partition=low'] }], async (home) => {
      const job = await home.submit();
      await home.beyond();
      const higher = await fill('high', 'true');
      home.jobs.add(higher);
      await home.startsAgain(job);
      return countsToTheEnd(home);
    });
  },
};

/** @type {Record<string, Row>} */
const MODEL = {
  'training in two processes, told twice that its time is over': () => {
    const sets = [
      'data.rows=1000',
      'data.train_rows=60',
      'train.processes=2',
      'train.batch_size=16',
      'train.steps=16',
      'launch.slurm.cpus_per_node=2',
    ];
    const options = { sets, env: { OMP_NUM_THREADS: '1' } };
    return withHome(['train', options], async (unbroken) => {
      await unbroken.submit('build-failures');
      await unbroken.finished();
      return withHome(['train', options], async (broken) => {
        broken.copyRun(unbroken);
        const job = await broken.submit('train');
        for (let done = 0, cut = 0; cut < 2; cut++) {
          /** @type {(status: any) => boolean} */
          const isFurther = ({ state, stages }) => state === 'running' && stages[1]?.done > done;
          await broken.until('a step', isFurther);
          await broken.tellAhead(job);
          await broken.startsAgain(job);
          done = (await broken.status()).stages[1].done;
        }
        same('attempts', (await broken.finished()).job.attempt, 3);
        await unbroken.submit('train');
        await unbroken.finished();
        same('sha256 of the weights', broken.weights(), unbroken.weights());
        return `sha256 of the weights equal: ${unbroken.weights().slice(0, 12)}`;
      });
    });
  },
};

const SHORT = ['cancel', 'its node is lost'];

/**
 * Walks the rows with one of these words in their name, or all. `short`: two rows, without a model. Prints a line of each.
 * @param {string[]} wanted
 * @param {boolean} short
 */
export async function walkJobs(wanted, short) {
  const faults = { rows: 0, ok: 0 };
  for (const [name, row] of Object.entries({ ...QUICK, ...MODEL })) {
    if (short ? !SHORT.includes(name) : wanted.length > 0 && !wanted.some((word) => name.includes(word)))
      continue;
    const startedAt = Date.now();
    const told = await row().then(
      (text) => ({ ok: true, text }),
      (error) => ({ ok: false, text: String(error.message) }),
    );
    faults.rows++;
    if (told.ok) faults.ok++;
    const seconds = ((Date.now() - startedAt) / 1000).toFixed(1);
    process.stdout.write(`| ${told.ok ? 'ok' : 'BROKEN'} | job: ${name} | ${told.text} | | ${seconds} | |\n`);
  }
  return faults;
}
