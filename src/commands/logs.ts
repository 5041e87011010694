/** `rrr logs RUN`: the run's log for people, the stderr of a worker, or its job's log; with --follow also what comes. */
import { existsSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { UserError } from '../errors.ts';
import { JOB_POLL_MS, readJob } from '../inspect/job.ts';
import { requireRun } from '../inspect/require-run.ts';
import { encodeLine } from '../protocol/jsonl.ts';
import { GrowingFile, type LogRecord, lastAttempts, parseLogLine } from '../run/logs.ts';
import type { RunPaths } from '../run/paths.ts';
import { type Context, untilUnread } from '../terminal/context.ts';
import { resolveUserPath } from '../user-path.ts';
import { describeJob } from './describe-job.ts';

const POLL_MS = 250;

export interface LogsOptions {
  worker?: string;
  /** What its Slurm job says. */
  job?: boolean;
  lines: number;
  follow?: boolean;
  json?: boolean;
}

/** Ends without an error on Ctrl-C, and when nobody reads any more, as in `rrr logs RUN | head`. */
export async function runLogs(context: Context, run: string, options: LogsOptions): Promise<undefined> {
  const { stdout } = context;
  const paths = requireRun(resolveUserPath(context.cwd, run));
  const over = untilUnread(context);
  const show = showLine(options);

  const sources = pathsOf(paths, options).map((path) => ({ path, file: new GrowingFile(path) }));
  for (const { file } of sources) {
    const last: string[] = [];
    for (const line of file.newLines()) {
      last.push(line);
      if (last.length > options.lines) last.shift();
    }
    // The last line of a dead worker may have no line end; a living worker will complete it.
    if (!options.follow && file.rest !== '') last.push(file.rest);
    for (const line of last.slice(-options.lines)) stdout.write(show(line));
  }

  const news = options.follow ? new JobNews(paths, context.stderr) : undefined;
  while (options.follow && !over.aborted) {
    await news?.tell();
    await sleep(POLL_MS, undefined, { signal: over }).catch(() => {});
    // First, so that what a worker wrote before it was started again is read to its end.
    const now = pathsOf(paths, options);
    for (const [index, source] of sources.entries()) {
      for (const line of source.file.newLines()) stdout.write(show(line));
      const path = now[index] as string;
      if (path === source.path) continue;
      if (source.file.rest !== '') stdout.write(show(source.file.rest));
      sources[index] = { path, file: new GrowingFile(path) };
    }
  }
}

/** Whoever follows a run that is a Slurm job is told when the job waits, starts or ends. */
class JobNews {
  readonly #paths: RunPaths;
  readonly #stderr: NodeJS.WriteStream;
  #told = '';
  #next = 0;

  constructor(paths: RunPaths, stderr: NodeJS.WriteStream) {
    this.#paths = paths;
    this.#stderr = stderr;
  }

  async tell(): Promise<void> {
    if (Date.now() < this.#next) return;
    this.#next = Date.now() + JOB_POLL_MS;
    const job = await readJob(this.#paths);
    const state = `${job?.id} ${job?.slurm?.state} ${job?.slurm?.reason}`;
    if (job === null || state === this.#told) return;
    this.#told = state;
    this.#stderr.write(`job ${describeJob(job).join('; ')}\n`);
  }
}

/** Files to show, one after the other, and to follow at once. */
function pathsOf(paths: RunPaths, { worker, job }: LogsOptions): string[] {
  if (job) return [paths.jobLog, lastAttemptLog(paths)];
  return [worker === undefined ? paths.log : workerLog(paths, worker)];
}

/** The file, not the link to it. Throws UserError for a run that is no job. */
function lastAttemptLog({ run, job, jobRecord, lastAttemptLog }: RunPaths): string {
  if (!existsSync(jobRecord)) {
    throw new UserError(`${run} was never submitted to Slurm`, { cure: 'rrr submit does so' });
  }
  try {
    return join(job, readlinkSync(lastAttemptLog));
  } catch {
    return lastAttemptLog; // none has begun
  }
}

function workerLog({ logs, run }: RunPaths, worker: string): string {
  const attempts = lastAttempts(logs);
  const path = attempts.get(worker);
  if (path !== undefined) return path;
  const names = [...attempts.keys()].join(', ');
  throw new UserError(`${run} holds no log of a worker ${worker}`, {
    cure: names === '' ? 'none was started so far' : `name one of ${names}`,
  });
}

/** How a line is shown: rrr.log's are JSON as they are, a worker's are text. */
function showLine({ worker, job, json }: LogsOptions): (line: string) => string {
  if (job) return json ? (line) => encodeLine({ line }) : (line) => `${line}\n`;
  if (worker !== undefined) return json ? (line) => encodeLine({ worker, line }) : (line) => `${line}\n`;
  if (json) return (line) => (parseLogLine(line) ? `${line}\n` : '');
  return (line) => {
    const record = parseLogLine(line);
    return `${record ? renderRecord(record) : line}\n`;
  };
}

function renderRecord({ level, time, rrr, worker, msg, ...more }: LogRecord): string {
  // The Swedish locale writes the local time as "2026-01-31 13:05:59".
  const when = new Date(time).toLocaleString('sv-SE');
  const label = (pino.levels.labels[level] ?? `${level}`).padEnd(5);
  const values = Object.entries(more).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  return [when, label, ...(worker === undefined ? [] : [worker]), msg, ...values].join('  ');
}
