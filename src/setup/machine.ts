/** What a set-up depends on: a Python to start from, GPUs, the processor. */
import { accessSync, constants, readFileSync } from 'node:fs';
import { arch } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { UserError } from '../errors.ts';
import type { Stack } from '../launch/environment.ts';

const PYTHONS = ['python3', 'python3.13', 'python3.12', 'python3.11'];
const OLD_ENOUGH = 'import sys, venv; sys.exit(sys.version_info < (3, 11))';
/** A broken driver may never answer. */
export const PROGRAM_TIMEOUT_MS = 20_000;

/** The path of a Python >= 3.11 that can make environments; undefined where there is none. PYTHON in `env` names the only one to try. */
export async function findBasePython(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  for (const name of env.PYTHON ? [env.PYTHON] : PYTHONS) {
    const { failed } = await execa(name, ['-c', OLD_ENOUGH], { env, reject: false, stdio: 'ignore' });
    if (!failed) return onPath(name, env);
  }
  return undefined;
}

/** Throws UserError where there is none. */
export async function requireBasePython(env: NodeJS.ProcessEnv): Promise<string> {
  const found = await findBasePython(env);
  if (found) return found;
  throw new UserError(`no Python >= 3.11 with venv among: ${env.PYTHON ?? PYTHONS.join(' ')}`, {
    cure: 'install one, or name it: PYTHON=/path/to/python rrr setup',
  });
}

function onPath(name: string, { PATH = '' }: NodeJS.ProcessEnv): string {
  if (name.includes('/')) return name;
  const candidates = PATH.split(':').map((folder) => join(folder, name));
  return candidates.find(isProgram) ?? name;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** How many GPUs nvidia-smi lists. */
async function countGpus(env: NodeJS.ProcessEnv): Promise<number> {
  const options = { env, reject: false, timeout: PROGRAM_TIMEOUT_MS } as const;
  const { failed, stdout } = await execa('nvidia-smi', ['-L'], options);
  return failed ? 0 : stdout.split('\n').filter((line) => line.startsWith('GPU ')).length;
}

/** vLLM's build for CUDA where there is a GPU, a build of the same source for CPUs elsewhere. */
export async function chooseStack(env: NodeJS.ProcessEnv): Promise<{ stack: Stack; why: string }> {
  const gpus = await countGpus(env);
  return gpus > 0
    ? { stack: 'cuda', why: `nvidia-smi lists ${gpus} GPU(s)` }
    : { stack: 'cpu', why: 'nvidia-smi finds no GPU' };
}

/** Whether vLLM's build for CPUs can't run on this processor. */
export function lacksAvx2(): boolean {
  if (arch() !== 'x64') return false;
  try {
    return !/\bavx2\b/.test(readFileSync('/proc/cpuinfo', 'utf8'));
  } catch {
    return false;
  }
}
