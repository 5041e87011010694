/** Some rows of scripts/cluster/jobs.mjs, on a real Slurm where its daemons are installed. */
import { accessSync, constants } from 'node:fs';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { temporaryFolder } from '../workers/harness.ts';

const CLUSTER = resolve('scripts/cluster.sh');
const PORT = 18_817;

function hasSlurm(): boolean {
  try {
    for (const name of ['slurmctld', 'slurmd', 'munged']) accessSync(`/usr/sbin/${name}`, constants.X_OK);
    return process.getuid?.() === 0;
  } catch {
    return false;
  }
}

test.skipIf(!hasSlurm())('a job is cancelled, and outlives its node', { timeout: 300_000 }, async () => {
  const dir = join(temporaryFolder(), 'cluster');
  const env = {
    RRR_CLUSTER_DIR: dir,
    RRR_CLUSTER_PORT: `${PORT}`,
    SLURM_CONF: join(dir, 'slurm.conf'),
    PATH: `${process.env.PATH}:/usr/sbin`,
  };
  onTestFinished(async () => void (await execa(CLUSTER, ['stop'], { env })));
  await execa(CLUSTER, ['start'], { env });
  const { stdout } = await execa('node', ['scripts/cluster/jobs.mjs', '--short'], {
    env,
    reject: false,
  });
  expect(stdout.split('\n').filter((line) => !line.startsWith('| ok |'))).toEqual(['{"rows":2,"ok":2}']);
});
