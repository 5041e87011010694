/**
 * One orchestrator a run. The lock names its process; a lock whose process is gone is taken over. A process on another host
 * can't be asked for, but where it ran in a Slurm job, Slurm can: so a job that was requeued to another node goes on.
 *
 * On a disk that nodes share, link() is the one way to make a file that is there or not for all of them. NFS may carry it out
 * and lose the answer, so that its second try says that the file exists: whether both names are one file tells.
 */
import { execFileSync } from 'node:child_process';
import { linkSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { UserError } from '../errors.ts';

export interface Holder {
  pid: number;
  /** When that process started, in the kernel's ticks: process ids are used again. */
  started: string | undefined;
  host: string;
  since: string;
  /** The Slurm job that it is in, how often that had been requeued, and whose it is. */
  job?: { id: string; restarts: number; user: number | undefined } | undefined;
}

/** Returns the function that gives the lock back. Throws UserError while another process holds it. */
export function lockRun(path: string): () => void {
  const { pid } = process;
  const host = ownHost();
  const since = new Date().toISOString();
  const holder: Holder = { pid, started: startOf(pid), host, since, job: ownJob() };
  const mine = `${path}.${host}.${pid}`;
  writeFileSync(mine, `${JSON.stringify(holder)}\n`);
  try {
    // A link appears with its content, or not at all: nobody reads a part of it.
    while (!tryLink(mine, path)) removeDead(path, mine);
  } finally {
    rmSync(mine, { force: true });
  }
  return () => rmSync(path, { force: true });
}

/** Who works on the run now, if anyone does. */
export function readLivingHolder(path: string): Holder | undefined {
  const holder = readHolder(path);
  return holder && isAlive(holder) ? holder : undefined;
}

/** Removes the lock of a dead process. One process at a time may, or the second would remove the first one's lock. */
function removeDead(path: string, mine: string): void {
  refuseIfAlive(path);
  const turn = `${path}.takeover`;
  if (!tryLink(mine, turn)) {
    throw new UserError('another rrr is taking this run over from one that died', {
      cure: `try again; if this stays so, remove ${turn}`,
    });
  }
  try {
    if (refuseIfAlive(path)) rmSync(path);
  } finally {
    rmSync(turn);
  }
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return isSameFile(from, to);
    throw error;
  }
}

function isSameFile(one: string, other: string): boolean {
  const [a, b] = [one, other].map((path) => statSync(path, { throwIfNoEntry: false }));
  return a !== undefined && a.ino === b?.ino && a.dev === b?.dev;
}

/** Whether a dead process's lock is there. */
function refuseIfAlive(path: string): boolean {
  const holder = readHolder(path);
  if (!holder) return false;
  if (!isAlive(holder)) return true;
  const { pid, host, since, job } = holder;
  const where = job ? `${host}, Slurm job ${job.id}` : host;
  throw new UserError(`another rrr works on this run: process ${pid} on ${where}, since ${since}`, {
    cure: `wait for it or stop it${job ? ` (scancel ${job.id})` : ''}; if that process is no rrr, remove ${path}`,
  });
}

/** Undefined when the lock has just been given back. */
function readHolder(path: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new UserError(`${path} is no lock of rrr`, { cure: `remove ${path}`, cause: error });
  }
}

/** A holder on another host that no one can be asked for counts as alive. */
function isAlive({ pid, started, host, job }: Holder): boolean {
  if (host !== ownHost()) return job === undefined || isAtWork(job);
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  return started === undefined || started === startOf(pid);
}

/** Slurm's name of this node: several nodes may be one machine. */
function ownHost(): string {
  return process.env.SLURMD_NODENAME ?? hostname();
}

function ownJob(): Holder['job'] {
  const { SLURM_JOB_ID: id, SLURM_RESTART_COUNT: restarts = '0' } = process.env;
  return id ? { id, restarts: Number(restarts), user: process.getuid?.() } : undefined;
}

/** States in which a job has processes. */
const AT_WORK = ['RUNNING', 'COMPLETING', 'SUSPENDED', 'STOPPED', 'SIGNALING', 'RESIZING', 'STAGE_OUT'];
const ASK_MS = 30_000;

/** Whether a Slurm job is still in that attempt. True where Slurm doesn't say: it may hide the jobs of others. */
function isAtWork({ id, restarts, user }: NonNullable<Holder['job']>): boolean {
  if (user !== process.getuid?.()) return true;
  // All jobs: for one that it has forgotten squeue fails as it does when it reaches nobody.
  const asked = ['--noheader', '--states=all', '--all', '--Format=JobID:|,State:|,RestartCnt:|'];
  let jobs: string;
  try {
    jobs = execFileSync('squeue', asked, {
      encoding: 'utf8',
      timeout: ASK_MS,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch {
    return true;
  }
  const [, state, count] =
    jobs
      .split('\n')
      .map((line) => line.trim().split('|'))
      .find(([job]) => job === id) ?? [];
  return state !== undefined && AT_WORK.includes(state) && Number(count) === restarts;
}

/** Field 22 of /proc/PID/stat, counted from the name in parentheses, which may hold spaces. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
