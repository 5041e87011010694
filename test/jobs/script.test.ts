/** The batch script, and the config that goes with it. */
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { loadConfig } from '../../src/config/load.ts';
import { configSchema } from '../../src/config/schema.ts';
import { isStuck } from '../../src/jobs/record.ts';
import { renderScript } from '../../src/jobs/script.ts';
import { runPaths } from '../../src/run/paths.ts';
import type { AttemptEvent } from '../../src/run/records.ts';
import { makeConfig, temporaryFolder } from '../workers/harness.ts';

const { launch } = configSchema.parse({ model: { name: 'a/b' }, data: { source: 'generator' } });

function render(slurm: Partial<typeof launch.slurm>, run = '/runs/a', fetched = false) {
  const config = makeConfig({ launch: { kind: 'slurm', slurm: { ...launch.slurm, ...slurm } } });
  const args = ['run', '-c', `${run}/job/config.yaml`, '--run', run, '--resume'];
  return renderScript({
    config,
    paths: runPaths(run),
    program: ['/bin/node', '/rrr/dist/main.js'],
    args,
    cwd: '/home/me',
    fetched,
  });
}

test('all of launch.slurm', () => {
  const script = render({
    partition: 'gpu',
    account: 'lab',
    qos: 'long',
    constraint: 'h100&ib',
    nodes: 2,
    gpus_per_node: 8,
    cpus_per_node: 64,
    mem: '500G',
    time: '1-00:00:00',
    requeue: false,
    sbatch: ['--reservation=mine', '--comment="for me"'],
    setup: ['module load cuda', 'source .venv/bin/activate'],
  });
  expect(script).toMatchSnapshot();
});

test('defaults: whole nodes; a path with a space and a %; gres as it is written', () => {
  const options = (script: string) => script.match(/^#SBATCH .*/gm);
  expect(options(render({}, '/my runs/50%'))).toMatchSnapshot();
  expect(options(render({ gres: 'gpu:h100:4', gpus_per_node: 4 }))).toContain('#SBATCH --gres=gpu:h100:4');
});

test('what was fetched is not asked for again; a line of setup may say otherwise', () => {
  const script = render({ setup: ['unset HF_HUB_OFFLINE'] }, '/runs/a', true);
  expect(script).toMatch(/^export HF_HUB_OFFLINE=1 [\s\S]*^unset HF_HUB_OFFLINE$/m);
  expect(render({})).not.toContain('HF_HUB_OFFLINE');
});

test('bash reads it', async () => {
  const { stderr } = await execa('bash', ['-n'], {
    input: render({ setup: ['if true; then', 'module load a', 'fi'] }, "/it's/a run"),
  });
  expect(stderr).toBe('');
});

test.each(['demo.yaml', 'functions-qwen2-1.5b.yaml'])(
  'the config that a job keeps is that of its run: %s',
  (file) => {
    // The model of the demo need not be made.
    const sets = ['model.name=a/b'];
    const { config } = loadConfig({ file: join('configs', file), sets, cwd: resolve('.') });
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'config.yaml'), stringify(config));
    expect(loadConfig({ file: join(folder, 'config.yaml'), sets: [], cwd: folder })).toEqual({
      config,
      problems: [],
      warnings: expect.anything(),
    });
  },
);

test('a job is stuck when its last two attempts got no further', () => {
  const begun = (done: number, attempt: number, job = 7): AttemptEvent => ({
    event: 'started',
    time: '2026-01-01T00:00:00Z',
    nodes: 'n1',
    job,
    attempt,
    done,
  });
  const stuck = (history: number[], now: number) =>
    isStuck(
      history.map((done, index) => begun(done, index)),
      7,
      now,
    );
  expect(stuck([], 0)).toBe(false);
  expect(stuck([0], 0)).toBe(false);
  expect(stuck([0, 0], 0)).toBe(true);
  expect(stuck([0, 0], 1)).toBe(false);
  expect(stuck([0, 5], 5)).toBe(false);
  expect(stuck([0, 5, 5], 5)).toBe(true);
  // Steps without a checkpoint are done again: that is no progress.
  expect(stuck([0, 19, 10], 19)).toBe(true);
  // Whoever submits again may try again.
  expect(isStuck([begun(0, 1, 6), begun(0, 2, 6), begun(0, 3)], 7, 0)).toBe(false);
});
