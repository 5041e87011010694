/** JSON lines: bytes of a stream to lines, lines to frames, values to lines. */
import { isUtf8 } from 'node:buffer';
import { type WorkerFrame, workerFrame } from './messages.ts';

const NEWLINE = 0x0a;
export const MAX_LINE_BYTES = 64 * 1024 * 1024;

/** A line that can't be one of ours. */
export class BadLine extends Error {}

/**
 * Splits a byte stream at "\n" and nothing else: JSON text may hold U+2028, at which Node's readline used to
 * split, and a chunk may end inside a character.
 */
export class LineDecoder {
  #parts: Buffer[] = [];
  #held = 0;

  constructor(readonly maxBytes = MAX_LINE_BYTES) {}

  /** The lines that `chunk` completes. Throws BadLine for a line that is too long or no UTF-8. */
  *push(chunk: Buffer): Generator<string> {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(NEWLINE, start);
      const part = chunk.subarray(start, end === -1 ? chunk.length : end);
      if (this.#held + part.length > this.maxBytes)
        throw new BadLine(`a line is longer than ${this.maxBytes} bytes`);
      if (end === -1) {
        if (part.length > 0) this.#parts.push(part);
        this.#held += part.length;
        return;
      }
      start = end + 1;
      yield decode(this.#held === 0 ? part : Buffer.concat([...this.#parts, part]));
      this.#parts = [];
      this.#held = 0;
    }
  }
}

function decode(line: Buffer): string {
  if (!isUtf8(line)) throw new BadLine(`a line is no UTF-8: ${excerpt(line.toString('latin1'))}`);
  return line.toString('utf8');
}

/** Reads one line of a worker. Throws BadLine. */
export function parseWorkerLine(line: string): WorkerFrame {
  let frame: unknown;
  try {
    frame = JSON.parse(line);
  } catch {
    throw new BadLine(`a line is no JSON: ${excerpt(line)}`);
  }
  if (isResult(frame)) return frame;
  const parsed = workerFrame.safeParse(frame);
  if (!parsed.success) throw new BadLine(`a line is no frame of the protocol: ${excerpt(line)}`);
  return parsed.data;
}

/** Results come by the ten thousand a second and whoever called checks the value: zod would walk it twice. */
function isResult(frame: unknown): frame is Extract<WorkerFrame, { type: 'result' }> {
  if (typeof frame !== 'object' || frame === null) return false;
  const { type, id, value } = frame as Record<string, unknown>;
  return type === 'result' && Number.isSafeInteger(id) && (id as number) >= 0 && value !== undefined;
}

export function encodeLine(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}

function excerpt(line: string): string {
  return JSON.stringify(line.length > 200 ? `${line.slice(0, 200)}...` : line);
}
