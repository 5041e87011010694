/** What Slurm prints of a job, in the words of several versions. */
import { expect, test } from 'vitest';
import { isOver, isWaiting, parseJob } from '../../src/jobs/show.ts';

/** 22.05, as it was printed. */
const RUNNING =
  'JobId=1 JobName=sig.sh UserId=root(0) GroupId=root(0) MCS_label=N/A Priority=4294901759 Nice=0 Account=(null) QOS=(null) JobState=RUNNING Reason=None Dependency=(null) Requeue=1 Restarts=0 BatchFlag=1 Reboot=0 ExitCode=0:0 RunTime=00:00:01 TimeLimit=00:01:00 TimeMin=N/A SubmitTime=2026-11-26T05:43:28 EligibleTime=2026-11-26T05:43:28 AccrueTime=2026-11-26T05:43:28 StartTime=2026-11-26T05:43:29 EndTime=2026-11-26T05:44:29 Deadline=N/A PreemptEligibleTime=2026-11-26T05:43:29 PreemptTime=None SuspendTime=None SecsPreSuspend=0 LastSchedEval=2026-11-26T05:43:29 Scheduler=Backfill Partition=main AllocNode:Sid=localhost:7048 ReqNodeList=(null) ExcNodeList=(null) NodeList=n1 BatchHost=n1 NumNodes=1 NumCPUs=1 NumTasks=1 CPUs/Task=1 ReqB:S:C:T=0:0:*:* TRES=cpu=1,mem=8000M,node=1,billing=1 Socks/Node=* NtasksPerN:B:S:C=0:0:*:* CoreSpec=* MinCPUsNode=1 MinMemoryNode=0 MinTmpDiskNode=0 Features=(null) DelayBoot=00:00:00 OverSubscribe=OK Contiguous=0 Licenses=(null) Network=(null) Command=/runs/a b/JobState=FAILED.sh WorkDir=/runs/a b StdErr=/dev/null StdIn=/dev/null StdOut=/dev/null Power= ';

const edited = (line: string, values: Record<string, string>) =>
  Object.entries(values).reduce(
    (text, [key, value]) => text.replace(new RegExp(`(?<=\\s${key}=)\\S*`), value),
    line,
  );

test('a running job', () => {
  const job = parseJob(RUNNING);
  expect(job).toEqual({
    state: 'RUNNING',
    reason: null,
    partition: 'main',
    start: new Date(2026, 10, 26, 5, 43, 29).toISOString(),
    end: new Date(2026, 10, 26, 5, 44, 29).toISOString(),
    nodes: 'n1',
    seconds: 1,
    limit_s: 60,
    restarts: 0,
    exit_code: 0,
    signal: 0,
  });
  expect([isOver(job), isWaiting(job)]).toEqual([false, false]);
});

test('one that waits', () => {
  const line = edited(RUNNING, {
    JobState: 'PENDING',
    Reason: 'ReqNodeNotAvail,_UnavailableNodes:n3',
    Restarts: '2',
    RunTime: '00:00:00',
    TimeLimit: 'UNLIMITED',
    StartTime: 'Unknown',
    NodeList: '(null)',
  });
  const job = parseJob(line);
  expect(job).toMatchObject({ reason: 'ReqNodeNotAvail,_UnavailableNodes:n3', restarts: 2 });
  expect(job).toMatchObject({ start: null, nodes: null, limit_s: null });
  expect([isOver(job), isWaiting(job)]).toEqual([false, true]);
});

test.each([
  ['TIMEOUT', '0:15', 0, 15],
  ['FAILED', '130:0', 130, 0],
  ['OUT_OF_MEMORY', '0:125', 0, 125],
  ['NODE_FAIL', '1:0', 1, 0],
  ['COMPLETED', '0:0', 0, 0],
])('one that ended: %s', (state, code, exit_code, signal) => {
  const job = parseJob(edited(RUNNING, { JobState: state, ExitCode: code, RunTime: '1-02:03:04' }));
  expect(job).toMatchObject({ state, exit_code, signal, seconds: 93784 });
  expect(isOver(job)).toBe(true);
});

test('another version: other keys around, some missing, a state that is not known yet', () => {
  const job = parseJob(
    'JobId=7 JobName=rrr-a Extra=(null) JobState=EXPEDITING Reason=None Restarts=1 ExitCode=0:0 RunTime=00:10:00 TimeLimit=1-00:00:00 NodeList=gpu[01-02] TresPerNode=gres/gpu:8',
  );
  expect(job).toMatchObject({
    state: 'EXPEDITING',
    limit_s: 86400,
    nodes: 'gpu[01-02]',
    start: null,
    partition: null,
  });
  // A job that may live must not be submitted twice.
  expect(isOver(job)).toBe(false);
});
