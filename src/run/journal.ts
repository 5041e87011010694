/**
 * An append-only file of JSON lines: finished work, in the order it finished. Every append is one write of one whole
 * line. A last line without its end was torn by a kill: it is cut off when the journal opens, and its work is done again.
 */
import {
  closeSync,
  createReadStream,
  existsSync,
  fstatSync,
  fsync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  writeSync,
} from 'node:fs';
import type { z } from 'zod';
import { RunError, withPath } from '../errors.ts';
import { encodeLine, LineDecoder } from '../protocol/jsonl.ts';
import { parseQuery, type Query } from '../protocol/methods.ts';
import { clip } from '../text.ts';

/** A kill loses nothing that was written; a sync now and then bounds what a power cut loses. */
const SYNC_EVERY_MS = 1000;
const READ_BYTES = 16 * 1024;
const NEWLINE = 0x0a;

export class Journal {
  readonly #path: string;
  readonly #file: number;
  #size: number;
  #syncedAt = Date.now();
  #syncError: Error | null = null;
  /** Reused: rows are read by the million. */
  readonly #scratch = Buffer.allocUnsafe(READ_BYTES);

  private constructor(path: string, file: number, size: number) {
    this.#path = path;
    this.#file = file;
    this.#size = size;
  }

  /** Opens for appending, after giving every whole line to `replay`, with its offset in bytes. */
  static async open(
    path: string,
    replay: (record: unknown, offset: number) => void = () => {},
  ): Promise<Journal> {
    let end = 0;
    for await (const { text, line, offset, next } of scanLines(path)) {
      replay(parse(text, path, line), offset);
      end = next;
    }
    const file = openSync(path, 'a+');
    if (fstatSync(file).size > end) ftruncateSync(file, end);
    return new Journal(path, file, end);
  }

  /** Returns the line's offset, for `readAt`. */
  append(record: unknown): number {
    const line = Buffer.from(encodeLine(record));
    const offset = this.#size;
    this.#write(line);
    this.#size += line.length;
    this.#syncNowAndThen();
    return offset;
  }

  readAt(offset: number): unknown {
    for (let bytes = READ_BYTES; ; bytes *= 4) {
      const buffer = bytes === READ_BYTES ? this.#scratch : Buffer.allocUnsafe(bytes);
      const read = readSync(this.#file, buffer, 0, bytes, offset);
      const end = buffer.subarray(0, read).indexOf(NEWLINE);
      if (end !== -1) return JSON.parse(buffer.toString('utf8', 0, end));
      if (read < bytes) throw new RunError(`${this.#path}: no whole line at byte ${offset}`);
    }
  }

  /** Cuts off the line at this offset and all after it. */
  truncate(offset: number): void {
    ftruncateSync(this.#file, offset);
    this.#size = offset;
  }

  close(): void {
    try {
      fsyncSync(this.#file);
    } catch (error) {
      throw withPath(error, this.#path);
    } finally {
      closeSync(this.#file);
    }
  }

  /** All of it, or nothing and an error. */
  #write(line: Buffer): void {
    try {
      // A disk that fills up takes a part of the line and refuses the rest.
      for (let done = 0; done < line.length; ) done += writeSync(this.#file, line, done);
    } catch (error) {
      ftruncateSync(this.#file, this.#size);
      throw withPath(error, this.#path);
    }
  }

  /** In the background: a busy disk takes its time, in which every worker would run out of calls. */
  #syncNowAndThen(): void {
    if (this.#syncError) throw withPath(this.#syncError, this.#path);
    if (Date.now() - this.#syncedAt < SYNC_EVERY_MS) return;
    this.#syncedAt = Date.now();
    fsync(this.#file, (error) => {
      this.#syncError ??= error;
    });
  }
}

/** The whole lines of a JSON lines file, parsed. */
export async function* readLines(path: string): AsyncGenerator<unknown> {
  for await (const { text, line } of scanLines(path)) yield parse(text, path, line);
}

/** The records of a JSON lines file, all at once; none where the file isn't there. */
export async function readRecords<T>(path: string, schema: z.ZodType<T>): Promise<T[]> {
  const records: T[] = [];
  for await (const line of readLines(path)) records.push(schema.parse(line));
  return records;
}

/** The queries of RUN/data/train.jsonl or test.jsonl; none where the file isn't there. */
export async function* readQueries(path: string): AsyncGenerator<Query> {
  for await (const { text, line } of scanLines(path)) {
    const query = parseQuery(text);
    if (!query) throw new RunError(`${path}, line ${line}: not a query: ${clip(text, 200)}`);
    yield query;
  }
}

async function* scanLines(path: string) {
  if (!existsSync(path)) return;
  const decoder = new LineDecoder();
  let next = 0;
  let line = 0;
  for await (const chunk of createReadStream(path)) {
    for (const text of decoder.push(chunk)) {
      const offset = next;
      next += Buffer.byteLength(text) + 1;
      line++;
      yield { text, line, offset, next };
    }
  }
}

function parse(text: string, path: string, line: number): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new RunError(`${path}, line ${line}: not JSON: ${clip(text, 200)}`, { cause });
  }
}
