/**
 * What files are, whatever folder they lie in: what decides a stage is their content, so that a run can be resumed where
 * its project has been moved. Values are for people to compare, too.
 */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { extname, isAbsolute, join } from 'node:path';

const CHUNK_BYTES = 1 << 20;
const WEIGHTS = ['.safetensors', '.bin', '.pt', '.gguf'];
/** Of config, tokenizer and chat template. */
const SMALL_FILES = ['.json', '.jinja', '.txt', '.model', '.py'];

/** A hub id as it is. A folder by its config, its tokenizer and the names and sizes of its weights. */
export function modelIdentity(name: string): unknown {
  if (!isAbsolute(name) || !isThere(name)) return name;
  const files = readdirSync(name).sort();
  return Object.fromEntries(
    files.flatMap((file) => {
      const path = join(name, file);
      const kind = extname(file);
      if (WEIGHTS.includes(kind)) return [[file, `${statSync(path).size} bytes`]];
      return SMALL_FILES.includes(kind) ? [[file, hashFile(path)]] : [];
    }),
  );
}

/** `path/to/file.py:Class` by the file's content; any other name of a task as it is. */
export function taskIdentity(name: string): unknown {
  const [, file, className] = /^(\/.*):([^:/]+)$/.exec(name) ?? [];
  return file !== undefined && isThere(file) ? { file: hashFile(file), class: className } : name;
}

/** The words of a command; those that are files by their content. */
export function commandIdentity(command: readonly string[]): unknown[] {
  return command.map(fileIdentity);
}

/** An absolute path of a file by its content; anything else as it is. */
export function fileIdentity(path: string): string {
  return isAbsolute(path) && statSync(path, { throwIfNoEntry: false })?.isFile() ? hashFile(path) : path;
}

function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** A stage asks several times, and data may be large. By path, size and time of the last change. */
const known = new Map<string, string>();

const hashFile = (path: string) => `sha256 ${sha256Of(path)}`;

/** Of a file's content, in hex. */
export function sha256Of(path: string): string {
  const { size, mtimeMs } = statSync(path);
  const key = `${path} ${size} ${mtimeMs}`;
  const hash = known.get(key) ?? readHash(path);
  known.set(key, hash);
  return hash;
}

function readHash(path: string): string {
  const hash = createHash('sha256');
  const file = openSync(path, 'r');
  try {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    for (let read = readSync(file, chunk); read > 0; read = readSync(file, chunk))
      hash.update(chunk.subarray(0, read));
  } finally {
    closeSync(file);
  }
  return hash.digest('hex');
}
