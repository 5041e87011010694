/** How calls fail: what a lost worker had not answered is asked again, and so is a call whose own error says that it may be. */
import { BugError, type RrrError, RunError, UserError } from '../errors.ts';
import type { ErrorInfo } from '../protocol/messages.ts';

/** The worker answered the call with an error. */
export class CallError extends Error {
  override readonly name = 'CallError';

  constructor(readonly info: ErrorInfo) {
    super(info.message);
  }
}

interface LossDetails {
  /** The last lines of its log, and where that is. */
  details: string[];
  log: string;
  info?: ErrorInfo | undefined;
  suspect?: boolean;
  /** Default: its own, or to read the log. */
  cure?: string | undefined;
}

/** The worker is gone, with calls that it had not answered. */
export class WorkerLostError extends RunError {
  /** What the worker said of its end, where it said something. */
  readonly info: ErrorInfo | undefined;
  /** False for a call that was only in the same worker as the one that is known to be at fault. */
  readonly suspect: boolean;

  constructor(message: string, { details, log, info, cure, suspect = true }: LossDetails) {
    super(message, { details, cure: cure ?? info?.cure ?? `its log may say more: ${log}` });
    this.info = info;
    this.suspect = suspect;
  }
}

/** One call that nobody can answer, or that takes every worker with it. The others are fine. */
export class FailedCallError extends RunError {}

/** The pool was stopped before the call was answered. */
export class PoolStoppedError extends RunError {}

/** The error that a command ends with, for one that a worker reported or caused. */
export function toRrrError(error: unknown): unknown {
  if (error instanceof CallError) return reported(error.info);
  if (error instanceof WorkerLostError && error.info && error.info.type !== 'worker')
    return reported(error.info, error.details);
  return error;
}

function reported({ type, message, cure }: ErrorInfo, details?: string[]): RrrError {
  if (type === 'user') return new UserError(message, { cure });
  const ErrorClass = type === 'bug' ? BugError : RunError;
  return new ErrorClass(message, { cure, details });
}
