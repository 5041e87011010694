/** Where rrr's own files are, and the Python environment that `rrr setup` makes: .venv in a clone, else in the user's cache. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** cuda: vLLM for NVIDIA GPUs; cpu: the same vLLM, built for CPUs; light: neither torch, TRL nor vLLM. */
export const STACKS = ['cuda', 'cpu', 'light'] as const;
export type Stack = (typeof STACKS)[number];

/** The folder of package.json. */
const PACKAGE = fileURLToPath(new URL('../..', import.meta.url));
export const WORKERS = join(PACKAGE, 'workers');
export const REQUIREMENTS = join(WORKERS, 'requirements');
/** What npm packs holds no sources. */
const IS_CLONE = existsSync(join(PACKAGE, 'src'));
const CLONES_OWN = join(PACKAGE, '.venv');

/** What the set-up writes last: an environment without it is not whole. */
export interface Stamp {
  stack: Stack;
  /** Whether the user named the stack; else the machine decided. */
  asked: boolean;
  /** Of the lock file and the Python that it was made from. */
  sha: string;
}

export interface Environment {
  folder: string;
  python: string;
  stamp: Stamp;
}

export function lockFile(stack: Stack): string {
  return join(REQUIREMENTS, `${stack}.lock`);
}

export function cacheFolder(env: NodeJS.ProcessEnv): string {
  return env.RRR_CACHE || join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'rrr');
}

/** Where the set-up makes the environment of a stack. The workers come with rrr, so its version doesn't matter. */
export function environmentFolder(stack: Stack, env: NodeJS.ProcessEnv): string {
  return IS_CLONE ? CLONES_OWN : cachedFolder(stack, env);
}

function cachedFolder(stack: Stack, env: NodeJS.ProcessEnv): string {
  const sha = createHash('sha256')
    .update(readFileSync(lockFile(stack)))
    .digest('hex');
  return join(cacheFolder(env), 'python', `${stack}-${sha.slice(0, 12)}`);
}

/** Where the model of smoke runs and demos is linked. */
export function tinyModelLink(env: NodeJS.ProcessEnv): string {
  return join(IS_CLONE ? PACKAGE : cacheFolder(env), 'models', 'tiny');
}

/** The environments of this version that are whole: a clone's own, then those in the cache, the last made first. */
export function findEnvironments(env: NodeJS.ProcessEnv): Environment[] {
  const cached = STACKS.flatMap((stack) => readEnvironment(cachedFolder(stack, env)) ?? []);
  const madeAt = ({ folder }: Environment) => statSync(stampFile(folder)).mtimeMs;
  cached.sort((a, b) => madeAt(b) - madeAt(a));
  const own = IS_CLONE ? readEnvironment(CLONES_OWN) : undefined;
  return own ? [own, ...cached] : cached;
}

/** The Python that the set-up made. A clone's .venv counts without a stamp: other programs may have made it. */
export function madePython(env: NodeJS.ProcessEnv): string | undefined {
  const own = pythonIn(CLONES_OWN);
  return IS_CLONE && existsSync(own) ? own : findEnvironments(env)[0]?.python;
}

export function stampFile(folder: string): string {
  return join(folder, 'rrr-stamp');
}

export function pythonIn(folder: string): string {
  return join(folder, 'bin', 'python');
}

/** Undefined where there is none, or one that isn't whole. */
export function readEnvironment(folder: string): Environment | undefined {
  try {
    const stamp = JSON.parse(readFileSync(stampFile(folder), 'utf8')) as Stamp;
    return STACKS.includes(stamp.stack) ? { folder, python: pythonIn(folder), stamp } : undefined;
  } catch {
    return undefined;
  }
}
