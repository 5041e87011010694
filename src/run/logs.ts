/** Reading RUN/logs, also while it is written: rrr.log, and the stderr of every attempt of every worker. */
import { closeSync, existsSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { LineDecoder } from '../protocol/jsonl.ts';

const CHUNK = 64 * 1024;

/** A line of rrr.log, as pino writes it. */
const logRecord = z.looseObject({
  level: z.int(),
  time: z.number(),
  /** The process id of the rrr that wrote it. */
  rrr: z.int(),
  worker: z.string().optional(),
  msg: z.string(),
});
export type LogRecord = z.output<typeof logRecord>;

/** Undefined for a line that a full disk has cut. */
export function parseLogLine(line: string): LogRecord | undefined {
  try {
    return logRecord.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

/** Gives each line of a growing file once. A file that isn't there yet is empty; bytes that are no UTF-8 are replaced. */
export class GrowingFile {
  readonly #path: string;
  readonly #decoder = new LineDecoder({ invalid: 'replace' });
  #offset = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** The whole lines that came since the last call. */
  *newLines(): Generator<string> {
    if (!existsSync(this.#path)) return;
    const file = openSync(this.#path, 'r');
    try {
      const buffer = Buffer.allocUnsafe(CHUNK);
      for (let read = 1; read > 0; ) {
        read = readSync(file, buffer, 0, CHUNK, this.#offset);
        this.#offset += read;
        // A copy: the decoder keeps what is no whole line yet.
        yield* this.#decoder.push(Buffer.from(buffer.subarray(0, read)));
      }
    } finally {
      closeSync(file);
    }
  }

  /** What stands after the last whole line. */
  get rest(): string {
    return this.#decoder.rest;
  }
}

/** The stderr log of each worker's last attempt, by the worker's name. */
export function lastAttempts(logs: string): Map<string, string> {
  const last = new Map<string, number>();
  for (const file of existsSync(logs) ? readdirSync(logs) : []) {
    const [, name, attempt] = /^(.+)\.(\d+)\.stderr$/.exec(file) ?? [];
    if (name !== undefined) last.set(name, Math.max(last.get(name) ?? 0, Number(attempt)));
  }
  const names = [...last].sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true }));
  return new Map(names.map(([name, attempt]) => [name, join(logs, `${name}.${attempt}.stderr`)]));
}
