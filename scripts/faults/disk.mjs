// A disk of a run's own: a small tmpfs on the run directory, in a mount namespace that lasts as long as the process that
// holds it, which ends with us.
import { spawn } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, until } from './processes.mjs';

/** @import { FaultRun } from './run.mjs' */

/**
 * Mounts it and makes `run` work there. Undefined where this machine lets nobody mount.
 * @param {FaultRun} run
 */
export async function mountDisk(run, { readOnly = false } = {}) {
  const script = `mount -t tmpfs -o size=2m,${readOnly ? 'ro' : 'rw'} tmpfs "$0" && echo mounted && exec cat`;
  const shell = ['--user', '--map-root-user', '--mount', 'sh', '-c', script, run.directory];
  const holder = spawn('unshare', shell, { stdio: ['pipe', 'pipe', 'ignore'] });
  let mounted = false;
  let ended = false;
  holder.stdout.on('data', () => {
    mounted = true;
  });
  for (const event of ['error', 'exit']) {
    holder.on(event, () => {
      ended = true;
    });
  }
  await until('the mount', () => mounted || ended, 10);
  if (ended) return undefined;
  run.prefix = ['nsenter', '--target', String(holder.pid), '--user', '--mount', '--preserve-credentials'];
  run.root = `/proc/${holder.pid}/root`;
  const ballast = join(`${run.root}${run.directory}`, 'ballast');
  return {
    fill: () => {
      run.struckAt = Date.now();
      try {
        while (true) writeFileSync(ballast, Buffer.alloc(4096), { flag: 'a' });
      } catch (error) {
        if (codeOf(error) !== 'ENOSPC') throw error;
      }
    },
    makeRoom: () => rmSync(ballast),
    unmount: () => holder.kill('SIGKILL'),
  };
}
