/** What the scripts of the fault matrix hand each other. They are JavaScript, so that Node runs them as they are. */

export type Engine = 'fake' | 'slurm' | 'vllm' | 'small';

/** How every run of an engine is started. */
export interface Setup {
  config: string;
  sets: string[];
  env: NodeJS.ProcessEnv;
}

export interface StartOptions {
  /** Default: build-failures. */
  command?: string;
  args?: string[];
  sets?: string[];
  env?: NodeJS.ProcessEnv;
}

/** A process of rrr. */
export interface Rrr {
  pid: number;
  /** `code` is a signal's name where one killed it. */
  ended: Promise<{ code: number | string | null; stderr: string }>;
}

/** What became of a promise. */
export interface Outcome {
  ok: boolean;
  outcome: string;
  shown: string | undefined;
  /** From the fault to the end of rrr, where rrr was started again since. */
  seconds?: number;
  leftovers?: Process[];
}

export interface Process {
  pid: number;
  parent: number;
  command: string;
}

/** A line of workers.jsonl, as far as it is read here. The process that starts is the worker's guardian. */
export type WorkerEvent = { worker: string } & (
  | { event: 'started'; pid: number }
  | { event: 'ready'; info: { node?: string; gpus?: string } }
  | { event: 'hello' | 'lost' | 'exited' }
);
