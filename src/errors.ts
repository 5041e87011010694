/** Errors that end a command: what a person reads, what cures it, and the exit code. */

export interface RrrErrorOptions {
  /** What the reader can do about it; a command line where one exists. */
  cure?: string | undefined;
  /** Further lines shown under the message: places, or the last lines of a worker's log. */
  details?: string[] | undefined;
  cause?: unknown;
}

export class RrrError extends Error {
  readonly exitCode: number = 1;
  readonly cure?: string;
  readonly details?: string[];

  constructor(message: string, { cure, details, cause }: RrrErrorOptions = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    if (cure !== undefined) this.cure = cure;
    if (details !== undefined) this.details = details;
  }
}

/** The input is at fault: config, data, model, or the state of the run directory. */
export class UserError extends RrrError {
  override readonly exitCode = 2;
}

/** The run failed: a worker, the machine, a model. */
export class RunError extends RrrError {
  override readonly exitCode = 1;
}

/** Stopped by a signal, with everything saved; `resume` is the command line that goes on. */
export class InterruptedError extends RrrError {
  override readonly exitCode = 130;

  constructor(readonly resume: string) {
    super('interrupted; everything finished so far is saved', { cure: resume });
  }
}

/** A defect in rrr or in a task, found on the Python side. */
export class BugError extends RrrError {
  override readonly exitCode = 3;
}
