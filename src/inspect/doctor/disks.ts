/** The disks: room, permission, and what the run directory's file system must be able to do. */
import { accessSync, constants, existsSync, linkSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import * as fs from 'node:fs/promises'; // an old Node has no statfs
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { cacheFolder } from '../../launch/environment.ts';
import { error, type Finding, type Subject, warning } from './finding.ts';

const GIB = 2 ** 30;
/** Less than this, and a run of any model stops soon. */
const FULL_GIB = 0.5;
/** Less than this, and the checkpoints of a small language model (1.5 billion weights: 18 GB each) don't fit. */
const SCARCE_GIB = 20;

export async function checkDisks({ run, env }: Subject): Promise<Finding[]> {
  const places: [what: string, path: string][] = [
    ['the run directory', run],
    ["the hub's cache", hubCache(env)],
    ["rrr's cache", cacheFolder(env)],
    ['the temporary folder', tmpdir()],
  ];
  const findings: Finding[] = [];
  for (const [what, path] of places) {
    const { bavail, bsize } = await fs.statfs(existing(path));
    const gib = (bavail * bsize) / GIB;
    const found = `the disk of ${what} has ${gib.toFixed(2)} GiB left: ${path}`;
    if (gib < FULL_GIB) findings.push(error('disk_full', found, 'make room there, or name another place'));
    else if (gib < SCARCE_GIB && what === 'the run directory') {
      const cure = 'make room, name another run directory (--run), or lower train.keep_checkpoints';
      findings.push(warning('disk_scarce', `${found}: enough for small models alone`, cure));
    }
  }
  return findings;
}

/** The lock of a run is a hard link. */
export function checkRunDirectory({ run }: Subject): Finding[] {
  const folder = existing(run);
  let trial: string;
  try {
    trial = mkdtempSync(join(folder, '.rrr-doctor-'));
  } catch (cause) {
    const found = `the run directory can't be written: ${(cause as Error).message}`;
    return [error('run_not_writable', found, 'give this user access to it, or name another (--run)')];
  }
  try {
    writeFileSync(join(trial, 'a'), '');
    linkSync(join(trial, 'a'), join(trial, 'b'));
    return [];
  } catch (cause) {
    // A full disk is told by another check.
    if ((cause as NodeJS.ErrnoException).code === 'ENOSPC') return [];
    const found = `no hard links can be made in ${folder}: ${(cause as Error).message}`;
    return [error('no_hard_links', found, 'name a run directory on another file system (--run)')];
  } finally {
    rmSync(trial, { recursive: true, force: true });
  }
}

export function checkHubCache({ config, env }: Subject): Finding[] {
  const folder = hubCache(env);
  try {
    accessSync(existing(folder), constants.W_OK);
    return [];
  } catch {
    const needed = config && (config.data.source === 'hub' || !config.model.name.startsWith('/'));
    const found = `the hub's cache can't be written: ${folder}`;
    return [
      (needed ? error : warning)('hub_cache_not_writable', found, 'set HF_HOME to a folder of your own'),
    ];
  }
}

function hubCache(env: NodeJS.ProcessEnv): string {
  return env.HF_HUB_CACHE || join(hubHome(env), 'hub');
}

/** Where the hub's libraries keep the token and the cache. */
export function hubHome({ HF_HOME, XDG_CACHE_HOME }: NodeJS.ProcessEnv): string {
  return HF_HOME || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface');
}

/** The nearest folder that is there. */
function existing(path: string): string {
  return existsSync(path) || path === dirname(path) ? path : existing(dirname(path));
}
