/**
 * Workers as processes of this machine: `python -m rrr_workers.runtime.guardian MODULE` in a process group of its own, with
 * frames on stdin and stdout, stderr in a log file, and on fd 3 a lifeline whose closing tells that we are gone.
 */
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, join } from 'node:path';
import { execa } from 'execa';
import { WORKERS } from './environment.ts';
import type { Launcher, LaunchRequest, WorkerProcess } from './launcher.ts';

export interface LocalOptions {
  python: string;
  /** Folder of the stderr logs. */
  logs: string;
  /** Replaces variables of the environment. */
  env?: NodeJS.ProcessEnv;
}

/** Time to read what a dead process had written. */
const DRAIN_MS = 2000;

/** Process groups that may be alive: an exit without the orderly stop kills them at once. */
const groups = new Set<number>();
process.on('exit', () => {
  for (const group of groups) signalGroup(group, 'SIGKILL');
});

export class LocalLauncher implements Launcher {
  readonly #options: LocalOptions;

  constructor(options: LocalOptions) {
    this.#options = options;
  }

  launch({ name, module, devices, ranks }: LaunchRequest): WorkerProcess {
    const several = ranks === undefined ? [] : ['--ranks', `${ranks}`];
    const env = devices === undefined ? {} : { CUDA_VISIBLE_DEVICES: devices };
    return this.guard(openLog(this.#options.logs, name), [...several, module], env);
  }

  /** Starts a guardian (workers/rrr_workers/runtime/guardian.py) with these arguments, which has the log for its stderr. */
  guard(
    { fd, path }: Omit<Log, 'attempt'>,
    args: readonly string[],
    more: NodeJS.ProcessEnv = {},
  ): WorkerProcess {
    const { python, env } = this.#options;
    const child = execa(python, ['-m', 'rrr_workers.runtime.guardian', ...args], {
      detached: true,
      // The types know numbers up to 9 only; any descriptor is passed on as it is.
      stdio: ['pipe', 'pipe', fd as 9, 'pipe'],
      buffer: false,
      reject: false,
      encoding: 'buffer',
      env: { ...WORKER_ENV, ...more, ...env },
    });
    closeSync(fd);
    const { pid } = child;
    if (pid !== undefined) {
      groups.add(pid);
      // The leader is gone, so all that it started must go. A process that left the group can't hold our end of stdout.
      child.on('exit', () => {
        signalGroup(pid, 'SIGKILL');
        groups.delete(pid);
        setTimeout(() => child.stdout.destroy(), DRAIN_MS).unref();
      });
    }
    // Writing to a process that has just died is no error of its own: `exited` says what happened.
    child.stdin.on('error', () => {});
    return {
      pid,
      stdin: child.stdin,
      stdout: child.stdout,
      stderrPath: path,
      exited: child.then(describeExit),
      signal: (signal) => {
        if (pid !== undefined && groups.has(pid)) signalGroup(pid, signal);
      },
    };
  }
}

const WORKER_ENV = {
  // The workers are those that came with this rrr, whatever the Python.
  PYTHONPATH: [WORKERS, process.env.PYTHONPATH].filter(Boolean).join(delimiter),
  PYTHONUNBUFFERED: '1',
  // A file of the working directory must not pass for a library.
  PYTHONSAFEPATH: '1',
  TOKENIZERS_PARALLELISM: 'false',
  HF_HUB_DISABLE_PROGRESS_BARS: '1',
  VLLM_NO_USAGE_STATS: '1',
};

interface Log {
  fd: number;
  path: string;
  attempt: number;
}

/** Opens the first `<name>.<attempt>.stderr` that isn't there yet. */
export function openLog(logs: string, name: string): Log {
  mkdirSync(logs, { recursive: true });
  for (let attempt = 1; ; attempt++) {
    const path = join(logs, `${name}.${attempt}.stderr`);
    try {
      return { fd: openSync(path, 'ax'), path, attempt };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

interface Exit {
  exitCode?: number | undefined;
  signal?: NodeJS.Signals | undefined;
  originalMessage?: string | undefined;
}

function describeExit({ exitCode, signal, originalMessage }: Exit): string {
  if (signal !== undefined) return `killed by ${signal}`;
  if (exitCode === undefined) return `never started: ${originalMessage}`;
  // The guardian tells a worker's death by signal N as 128 + N.
  const name = Object.entries(constants.signals).find(([, number]) => number === exitCode - 128)?.[0];
  return name ? `killed by ${name}` : `exit code ${exitCode}`;
}
