// What runs, read from /proc. A process is a run's by a mark in its environment, which its children inherit, or by the
// process group or session of one of the run's workers: a title that a process gives itself wipes its environment.
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** @import { Process } from './types.ts' */

export const MARK = 'RRR_FAULT_RUN';

/**
 * The living processes that carry the mark or are in one of the groups.
 * @param {string} mark
 * @param {Set<number>} groups
 * @returns {Process[]}
 */
export function processesOf(mark, groups) {
  return readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      const [state, parent, group, session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (state === 'Z') return []; // dead, and not waited for yet
      const inGroup = groups.has(Number(group)) || groups.has(Number(session));
      if (!inGroup && !readFileSync(`/proc/${entry}/environ`, 'latin1').includes(`${MARK}=${mark}\0`))
        return [];
      const command = readFileSync(`/proc/${entry}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      return [{ pid: Number(entry), parent: Number(parent), command }];
    } catch (error) {
      if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(codeOf(error))) return []; // gone, or another user's
      throw error;
    }
  });
}

/**
 * The code of an error of the system, such as ENOENT.
 * @param {unknown} error
 */
export function codeOf(error) {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/**
 * Asks `look` until it gives something. Throws after `seconds`, naming `what`.
 * @template T
 * @param {string} what
 * @param {() => T} look
 * @returns {Promise<NonNullable<T>>}
 */
export async function until(what, look, seconds = 120) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(20)) {
    const seen = look();
    if (seen) return seen;
  }
  throw new Error(`waited ${seconds} s in vain for ${what}`);
}

/** @param {{ pid: number, signal?: NodeJS.Signals }[]} targets */
export function kill(...targets) {
  for (const { pid, signal = 'SIGKILL' } of targets) process.kill(pid, signal);
}
