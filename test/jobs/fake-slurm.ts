/** Slurm's commands as scripts that note how they are called; scontrol shows what the test writes down. */
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { makeToyHome, TOY } from '../fixtures/toy-home.ts';

const SCRIPTS = {
  sinfo: 'printf "main\\nlong\\n"',
  sbatch: 'echo 17',
  scancel: '',
  scontrol: `case $* in
*requeue*) exit 0 ;;
*) [ -s "$FAKE/job" ] && cat "$FAKE/job" || { echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1; } ;;
esac`,
};

export function makeFakeSlurm() {
  const cwd = makeToyHome();
  const fake = join(cwd, 'slurm');
  mkdirSync(fake);
  for (const [name, body] of Object.entries(SCRIPTS)) {
    writeFileSync(join(fake, name), `#!/bin/sh\necho "${name} $*" >>"$FAKE/calls"\n${body}\n`);
    chmodSync(join(fake, name), 0o755);
  }
  const env = {
    FAKE: fake,
    PATH: `${fake}:${process.env.PATH}`,
    SLURM_JOB_ID: '17',
    SLURM_JOB_NODELIST: 'n1',
  };
  const rrr = (...args: string[]) => execa('node', [TOY, ...args], { cwd, env, reject: false });
  return {
    cwd,
    rrr,
    submit: (...args: string[]) => rrr('submit', '-c', 'a.yaml', '--run', 'run', '--only', 'toy', ...args),
    /** What scontrol knows of the job from now on. */
    say: (job: string) => writeFileSync(join(fake, 'job'), job === '' ? '' : `JobId=17 ${job}\n`),
    calls: () =>
      existsSync(join(fake, 'calls')) ? readFileSync(join(fake, 'calls'), 'utf8').trimEnd().split('\n') : [],
    /** Where there is no Slurm. */
    without: (...args: string[]) =>
      execa(process.execPath, [TOY, ...args], { cwd, env: { PATH: cwd }, reject: false }),
  };
}
