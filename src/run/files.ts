/** Files that are replaced as a whole: written under a temporary name, synced, renamed. A reader sees old or new. */
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { z } from 'zod';
import { UserError, withPath } from '../errors.ts';
import { encodeJson, encodeLine } from '../protocol/jsonl.ts';

const DAMAGED_CURE = 'restore it from a copy of the run, or start another run (--run DIR)';
const BUFFERED_CHARACTERS = 1 << 20;

export function replaceFile(path: string, content: string | Uint8Array): void {
  const partial = `${path}.partial`;
  const file = openSync(partial, 'w');
  try {
    writeFileSync(file, content);
    fsyncSync(file);
  } catch (error) {
    throw withPath(error, partial);
  } finally {
    closeSync(file);
  }
  putInPlace(partial, path);
}

export function replaceJson(path: string, value: unknown): void {
  replaceFile(path, `${encodeJson(value, 2)}\n`);
}

/** Without a sync: for what is of no use after a power cut. */
export function replaceJsonUnsynced(path: string, value: unknown): void {
  writeFileSync(`${path}.partial`, `${JSON.stringify(value, null, 2)}\n`);
  renameSync(`${path}.partial`, path);
}

/** The parsed file, undefined where there is none. Throws UserError where it is no JSON, such as one that was cut. */
export function readJson(path: string): unknown {
  if (!existsSync(path)) return undefined;
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw new UserError(`${path} is damaged: ${cause.message}`, { cure: DAMAGED_CURE, cause });
  }
}

/** The same, as what it must hold. Throws UserError where it doesn't, or isn't there. */
export function readRecord<Schema extends z.ZodType>(path: string, schema: Schema): z.output<Schema> {
  const value = readJson(path);
  if (value === undefined) throw new UserError(`${path} is missing`, { cure: DAMAGED_CURE });
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue?.path.join('.') || 'all of it';
  throw new UserError(`${path} is damaged: ${where}: ${issue?.message}`, { cure: DAMAGED_CURE });
}

/** One JSON line a row, with flat memory. */
export function replaceLines(path: string, rows: AsyncIterable<unknown>): Promise<void> {
  return replaceTexts(path, encodeLines(rows));
}

async function* encodeLines(rows: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const row of rows) yield encodeLine(row);
}

/** The texts one after the other, with flat memory. */
export async function replaceTexts(
  path: string,
  texts: AsyncIterable<string> | Iterable<string>,
): Promise<void> {
  const partial = `${path}.partial`;
  const file = await open(partial, 'w');
  try {
    let buffered = '';
    for await (const text of texts) {
      buffered += text;
      if (buffered.length < BUFFERED_CHARACTERS) continue;
      await file.writeFile(buffered);
      buffered = '';
    }
    await file.writeFile(buffered);
    await file.sync();
  } catch (error) {
    throw withPath(error, partial);
  } finally {
    await file.close();
  }
  putInPlace(partial, path);
}

function putInPlace(partial: string, path: string): void {
  renameSync(partial, path);
  const folder = openSync(dirname(path), 'r');
  fsyncSync(folder);
  closeSync(folder);
}
