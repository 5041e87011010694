/** `rrr logs RUN`: the run's log for people, or the stderr of a worker; with --follow also what comes. */
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { UserError } from '../errors.ts';
import { requireRun } from '../inspect/require-run.ts';
import { encodeLine } from '../protocol/jsonl.ts';
import { GrowingFile, type LogRecord, lastAttempts, parseLogLine } from '../run/logs.ts';
import type { RunPaths } from '../run/paths.ts';
import type { Context } from '../terminal/context.ts';
import { resolveUserPath } from '../user-path.ts';

const POLL_MS = 250;

export interface LogsOptions {
  worker?: string;
  lines: number;
  follow?: boolean;
  json?: boolean;
}

/** Ends without an error on Ctrl-C, and when nobody reads any more, as in `rrr logs RUN | head`. */
export async function runLogs(context: Context, run: string, options: LogsOptions): Promise<undefined> {
  const { stdout } = context;
  const paths = requireRun(resolveUserPath(context.cwd, run));
  const unread = new AbortController();
  stdout.on('error', () => unread.abort());
  const over = AbortSignal.any([context.signal, unread.signal]);
  const show = showLine(options);

  let path = pathOf(paths, options);
  let file = new GrowingFile(path);
  const last: string[] = [];
  for (const line of file.newLines()) {
    last.push(line);
    if (last.length > options.lines) last.shift();
  }
  // The last line of a dead worker may have no line end; a living worker will complete it.
  if (!options.follow && file.rest !== '') last.push(file.rest);
  for (const line of last.slice(-options.lines)) stdout.write(show(line));

  while (options.follow && !over.aborted) {
    await sleep(POLL_MS, undefined, { signal: over }).catch(() => {});
    // First, so that what a worker wrote before it was started again is read to its end.
    const now = pathOf(paths, options);
    for (const line of file.newLines()) stdout.write(show(line));
    if (now === path) continue;
    if (file.rest !== '') stdout.write(show(file.rest));
    path = now;
    file = new GrowingFile(path);
  }
}

function pathOf({ log, logs, run }: RunPaths, { worker }: LogsOptions): string {
  if (worker === undefined) return log;
  const attempts = lastAttempts(logs);
  const path = attempts.get(worker);
  if (path !== undefined) return path;
  const names = [...attempts.keys()].join(', ');
  throw new UserError(`${run} holds no log of a worker ${worker}`, {
    cure: names === '' ? 'none was started so far' : `name one of ${names}`,
  });
}

/** How a line is shown: rrr.log's are JSON as they are, a worker's are text. */
function showLine({ worker, json }: LogsOptions): (line: string) => string {
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
