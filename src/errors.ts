/** Errors that end a command: what a person reads, what cures it, and the exit code. */
import { getSystemErrorMap } from 'node:util';

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

const MORE_ROOM = 'make room on that disk, then go on with --resume';
const WRITABLE = 'give this user access to it, or name another run directory (--run)';
const FILE_ERROR_CURES: Record<string, string> = {
  ENOSPC: MORE_ROOM,
  EDQUOT: MORE_ROOM,
  EFBIG: MORE_ROOM,
  EROFS: WRITABLE,
  EACCES: WRITABLE,
  EPERM: WRITABLE,
  EIO: 'look at that disk (dmesg), then go on with --resume',
};

/** What the system refuses to do with a file is no defect of rrr. Undefined for any other error. */
export function fileError(cause: unknown): RrrError | undefined {
  const { code, errno, path } = cause as NodeJS.ErrnoException;
  const cure = FILE_ERROR_CURES[code ?? ''];
  if (cure === undefined || errno === undefined || path === undefined) return undefined;
  const why = getSystemErrorMap().get(errno)?.[1] ?? code;
  return new (cure === WRITABLE ? UserError : RunError)(`${path}: ${why}`, { cure, cause });
}

/** `error` with the path of the file that it came from: the system names none once a file is open. */
export function withPath(error: unknown, path: string): unknown {
  if (error instanceof Error && 'errno' in error && !('path' in error)) Object.assign(error, { path });
  return error;
}
