/** rrr submit, status, logs and cancel with Slurm's commands replaced; scripts/cluster/jobs.mjs has the real ones. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished, test, vi } from 'vitest';
import { makeToyHome, TOY } from '../fixtures/toy-home.ts';
import { makeFakeSlurm } from './fake-slurm.ts';

vi.setConfig({ testTimeout: 120_000 });

const json = (stdout: string) => JSON.parse(stdout.split('\n').at(-1) as string);

test('--dry-run prints the script and touches nothing', async () => {
  const { cwd, submit, calls } = makeFakeSlurm();
  const { stdout, exitCode } = await submit('--dry-run');
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/^#!\/bin\/bash\n/);
  expect(stdout).toContain('toy -c ');
  expect(stdout).toMatch(/\n {2}sbatch --parsable \S+\/run\/job\/script\.sh$/);
  expect(calls()).toEqual([]);
  expect(existsSync(join(cwd, 'run'))).toBe(false);
});

test('what would fail in the queue is refused before it', async () => {
  const { cwd, submit, rrr, calls, without } = makeFakeSlurm();
  const refused = async (answer: PromiseLike<{ exitCode?: number | undefined; stderr: string }>) => {
    const { exitCode, stderr } = await answer;
    expect(exitCode).toBe(2);
    return stderr;
  };
  expect(await refused(submit('--set', 'train.stepz=1'))).toContain('no such key');
  expect(await refused(submit('--set', 'launch.slurm.partition=lang'))).toContain('did you mean long?');
  expect(await refused(submit('--set', 'launch.slurm.nodes=2'))).toContain('launch.kind: slurm');
  expect(await refused(submit('--set', 'launch.slurm.time=2'))).toContain('launch.slurm.signal_ahead_s');
  expect(await refused(rrr('submit', '-c', 'a.yaml', '--only', 'train'))).toContain(
    'run rrr build-failures first',
  );
  expect(await refused(rrr('submit', '-c', 'a.yaml', '--only', 'trian'))).toContain('name one of');
  expect(await refused(without('submit', '-c', 'a.yaml'))).toContain('there is no sinfo on this machine');
  expect(calls().filter((call) => !call.startsWith('sinfo'))).toEqual([]);
  mkdirSync(join(cwd, 'run/toy'), { recursive: true });
  expect((await rrr('toy', '-c', 'a.yaml', '--run', 'run')).exitCode).toBe(0);
  expect(await refused(submit())).toContain('is finished');
  expect(await refused(submit('--resume', '--set', 'seed=7'))).toContain('belongs to another config');
});

test('a job from its submission to its end', async () => {
  const { cwd, submit, say, calls, rrr } = makeFakeSlurm();
  const status = async () => json((await rrr('status', 'run', '--json')).stdout);
  expect(json((await submit('--json')).stdout)).toMatchObject({ job: 17 });
  expect(calls()).toEqual(['sinfo -h -o %R', `sbatch --parsable ${join(cwd, 'run/job/script.sh')}`]);

  say('JobState=PENDING Reason=QOSMaxJobsPerUserLimit StartTime=Unknown RunTime=00:00:00');
  const { stdout: waiting } = await rrr('status', 'run');
  expect(waiting).toContain('17 (rrr toy): pending; QOSMaxJobsPerUserLimit: a limit of your account or QOS');
  expect(await status()).toMatchObject({ state: 'waiting', job: { id: 17, state: 'waiting', attempt: 0 } });
  const second = await submit();
  expect(second.exitCode).toBe(2);
  expect(second.stderr).toContain('job 17 of this run lives: pending');

  say('JobState=RUNNING Reason=None RunTime=01:00:00 TimeLimit=04:00:00 NodeList=n1');
  const begun = await rrr('attempt', 'begin', join(cwd, 'run'));
  expect(begun.stdout).toBe(join(cwd, 'run/job/attempt_1.log'));
  writeFileSync(begun.stdout, 'counting\n');
  expect((await rrr('logs', 'run', '--job')).stdout).toBe('counting');
  expect((await rrr('status', 'run')).stdout).toContain('running on n1 for 1 h 0 min of 4 h 0 min');

  // Neither a failure, nor rrr cancel, nor scancel after the signal brings it back; the time limit does.
  const end = (code: number, ...more: string[]) =>
    rrr('attempt', 'end', join(cwd, 'run'), '--code', `${code}`, ...more);
  const requeues = () => calls().filter((call) => call === 'scontrol requeue 17').length;
  expect((await end(1, '--ahead')).exitCode).toBe(1);
  expect((await end(130)).exitCode).toBe(130);
  say('JobState=COMPLETING Reason=None');
  expect((await end(130, '--ahead')).exitCode).toBe(130);
  expect(requeues()).toBe(0);
  say('JobState=COMPLETING Reason=TimeLimit');
  await end(130);
  expect(requeues()).toBe(1);
  say('JobState=RUNNING Reason=None');
  await end(130, '--ahead');
  expect(requeues()).toBe(2);

  // Two attempts that did nothing are enough, at the end of the second as at the start of a third.
  await rrr('attempt', 'begin', join(cwd, 'run'));
  const stuck = await end(130, '--ahead');
  expect(stuck.stdout).toContain('the last two attempts got no further');
  expect(requeues()).toBe(2);
  const third = await rrr('attempt', 'begin', join(cwd, 'run'));
  expect(third.exitCode).toBe(1);
  expect(third.stderr).toContain('launch.slurm.time');

  say('JobState=FAILED Reason=NonZeroExitCode ExitCode=130:0 NodeList=n1 RunTime=00:01:00');
  const { stdout: ended } = await rrr('status', 'run');
  expect(ended).toContain('ended: FAILED, exit code 130 on n1');
  expect(ended).toContain('attempt 2: the last two attempts got no further');
  expect(ended).toMatch(/to go on: .*submit -c a\.yaml --run run --only toy --json --resume/);
  say('');
  expect(await status()).toMatchObject({ job: { state: 'ended', unknown: 'Slurm has forgotten this job' } });
  expect(json((await submit('--json')).stdout)).toMatchObject({ job: 17 });
});

test('rrr cancel takes a waiting job out of the queue, and stops one that runs', async () => {
  const { submit, say, calls, rrr } = makeFakeSlurm();
  await submit();
  say('JobState=PENDING Reason=Priority');
  const waiting = await rrr('cancel', 'run');
  expect(waiting.stdout).toContain('job 17 is taken out of the queue');
  expect(calls().at(-2)).toBe('scancel 17');
  say('JobState=RUNNING Reason=None NodeList=n1');
  const running = rrr('cancel', 'run', '--grace', '1');
  await vi.waitFor(() => expect(calls()).toContain('scancel 17'), { timeout: 20_000 });
  await vi.waitFor(() => expect(calls()).toContain('scancel --batch --signal=TERM 17'), { timeout: 20_000 });
  await vi.waitFor(() => expect(calls().filter((call) => call === 'scancel 17')).toHaveLength(2), {
    timeout: 20_000,
  });
  say('JobState=CANCELLED Reason=None');
  expect((await running).stdout).toContain('job 17 was ended');
});

test('rrr cancel ends a run of this machine in good order', async () => {
  const cwd = makeToyHome();
  const rrr = (...args: string[]) =>
    execa('node', [TOY, ...args], { cwd, reject: false, env: { TOY_STEP_MS: '500' } });
  const run = rrr('toy', '-c', 'a.yaml', '--run', 'run');
  onTestFinished(() => void run.kill('SIGKILL'));
  const journal = join(cwd, 'run/toy/journal.jsonl');
  await vi.waitFor(() => expect(readFileSync(journal, 'utf8')).toContain('1'), { timeout: 20_000 });
  const { stdout, exitCode } = await rrr('cancel', 'run');
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/has stopped in good order\ntoy: interrupted, \d+\/20 items\n/);
  expect((await run).exitCode).toBe(130);
  const again = await rrr('cancel', 'run');
  expect(again.exitCode).toBe(2);
  expect(again.stderr).toContain('nothing works on');
});

test('status --watch stays while the job waits, and asks Slurm now and then', async () => {
  const { submit, say, rrr, calls } = makeFakeSlurm();
  await submit();
  say('JobState=PENDING Reason=Resources RunTime=00:00:00');
  const before = calls().length;
  const watching = rrr('status', 'run', '--watch', '--json');
  onTestFinished(() => void watching.kill('SIGKILL'));
  await vi.waitFor(() => expect(calls().length).toBeGreaterThan(before + 1), {
    timeout: 60_000,
    interval: 100,
  });
  say('JobState=CANCELLED RunTime=00:00:00');
  const { stdout, exitCode } = await watching;
  expect(exitCode).toBe(0);
  const states = stdout.split('\n').map((line) => JSON.parse(line).job.state);
  expect(states).toEqual(['waiting', 'ended']);
});
