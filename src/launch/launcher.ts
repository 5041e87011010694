/** How a role becomes a process somewhere: on this machine (local.ts), or on a cluster. */
import type { Readable, Writable } from 'node:stream';

export interface LaunchRequest {
  /** Names the process in logs and messages, such as "sampler-0". */
  name: string;
  /** The Python module that speaks the protocol, such as "rrr_workers.roles.sampler". */
  module: string;
  /** CUDA_VISIBLE_DEVICES, where the config pins it. */
  devices?: string | undefined;
  /**
   * Processes that the worker consists of (workers/rrr_workers/training/group.py); 'gpus': one for each GPU in sight. Rank
   * 0 has stdin and stdout. The end of one ends all. Default: a single process, which knows nothing of ranks.
   */
  ranks?: number | 'gpus' | undefined;
  /** Of a Slurm job: how many nodes the ranks are on, as many on each. */
  nodes?: number | undefined;
  /** It is one of `count` equal processes that compute at the same time, each on `gpus` GPUs. */
  share?: Share | undefined;
}

export interface Share {
  index: number;
  count: number;
  gpus: number;
}

export type WorkerSignal = 'SIGTERM' | 'SIGKILL' | 'SIGUSR1';

export interface WorkerProcess {
  readonly pid: number | undefined;
  /** Its end tells the process that we are gone. */
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** The log that takes the process's stderr. */
  readonly stderrPath: string;
  /**
   * How it ended, for people, such as "exit code 1". Settles when the process is gone, its output is read to the
   * end and what was left of its group has been killed. Never rejects.
   */
  readonly exited: Promise<string>;
  /** Signals all its processes; nothing happens once they are gone. SIGUSR1: write to the log what each thread does. */
  signal(name: WorkerSignal): void;
}

export interface Launcher {
  /** Starts the process. One that can't be started tells so by `exited`. */
  launch(request: LaunchRequest): WorkerProcess;
}
