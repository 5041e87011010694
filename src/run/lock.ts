/** One orchestrator a run. The lock names its process; a lock whose process is gone is taken over. */
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { UserError } from '../errors.ts';

export interface Holder {
  pid: number;
  /** When that process started, in the kernel's ticks: process ids are used again. */
  started: string | undefined;
  host: string;
  since: string;
}

/** Returns the function that gives the lock back. Throws UserError while another process holds it. */
export function lockRun(path: string): () => void {
  const { pid } = process;
  const holder: Holder = { pid, started: startOf(pid), host: hostname(), since: new Date().toISOString() };
  const mine = `${path}.${pid}`;
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
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Whether a dead process's lock is there. */
function refuseIfAlive(path: string): boolean {
  const holder = readHolder(path);
  if (!holder) return false;
  if (!isAlive(holder)) return true;
  const { pid, host, since } = holder;
  throw new UserError(`another rrr works on this run: process ${pid} on ${host}, since ${since}`, {
    cure: `wait for it or stop it; if that process is no rrr, remove ${path}`,
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

/** A holder on another host can't be asked and counts as alive. */
function isAlive({ pid, started, host }: Holder): boolean {
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  return started === undefined || started === startOf(pid);
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
