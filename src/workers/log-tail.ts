/** The end of a worker's log: what a person needs to see when the worker is gone. */
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { LineDecoder } from '../protocol/jsonl.ts';

const LINES = 20;
const BYTES = 16 * 1024;

export function readLogTail(path: string): string[] {
  if (!existsSync(path)) return [];
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const buffer = Buffer.alloc(Math.min(size, BYTES));
    const read = readSync(file, buffer, 0, buffer.length, size - buffer.length);
    const decoder = new LineDecoder({ invalid: 'replace' });
    const lines = [...decoder.push(buffer.subarray(0, read)), decoder.rest];
    return lines.filter((line) => line.trim() !== '').slice(-LINES);
  } finally {
    closeSync(file);
  }
}
