/** JSON lines: bytes of a stream to lines, lines to frames, values to lines. */
import { isUtf8 } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import { clip } from '../text.ts';
import { type WorkerFrame, workerFrame } from './messages.ts';

const NEWLINE = 0x0a;
const MAX_LINE_BYTES = 64 * 1024 * 1024;

/** A line that can't be one of ours. */
export class BadLine extends Error {}

interface LineOptions {
  maxBytes?: number;
  /** What to do with bytes that are no UTF-8: refuse them, or put U+FFFD in their place. */
  invalid?: 'refuse' | 'replace';
}

/** Splits a byte stream at "\n" and nothing else: JSON text may hold U+2028, and a chunk may end inside a character. */
export class LineDecoder {
  #parts: Buffer[] = [];
  #held = 0;
  readonly #maxBytes: number;
  readonly #invalid: 'refuse' | 'replace';

  constructor({ maxBytes = MAX_LINE_BYTES, invalid = 'refuse' }: LineOptions = {}) {
    this.#maxBytes = maxBytes;
    this.#invalid = invalid;
  }

  /** The lines that `chunk` completes. Throws BadLine for a line that is too long or no UTF-8. */
  *push(chunk: Buffer): Generator<string> {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(NEWLINE, start);
      const part = chunk.subarray(start, end === -1 ? chunk.length : end);
      if (this.#held + part.length > this.#maxBytes)
        throw new BadLine(`a line is longer than ${this.#maxBytes} bytes`);
      if (end === -1) {
        if (part.length > 0) this.#parts.push(part);
        this.#held += part.length;
        return;
      }
      start = end + 1;
      yield this.#decode(this.#held === 0 ? part : Buffer.concat([...this.#parts, part]));
      this.#parts = [];
      this.#held = 0;
    }
  }

  /** What came after the last whole line. */
  get rest(): string {
    return Buffer.concat(this.#parts).toString('utf8');
  }

  #decode(line: Buffer): string {
    if (this.#invalid === 'refuse' && !isUtf8(line))
      throw new BadLine(`a line is no UTF-8: ${excerpt(line.toString('latin1'))}`);
    return line.toString('utf8');
  }
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

/** Stands before the text of a JsonText in what JSON.stringify makes; nobody can write it by chance or on purpose. */
const MARK = randomUUID();
const MARKED_STRING = new RegExp(`"${MARK}((?:[^"\\\\]|\\\\.)*)"`, 'g');

/**
 * JSON as it was written, for values that only pass through here: JavaScript would make 9007199254740992 of
 * 9007199254740993 and 5 of 5.0, and would put keys that look like numbers first.
 */
export class JsonText {
  constructor(readonly text: string) {}

  toJSON(): string {
    return MARK + this.text;
  }
}

/** JSON.stringify, with every JsonText as it was written. */
export function encodeJson(value: unknown, indent?: number): string {
  const json = JSON.stringify(value, null, indent);
  if (!json.includes(MARK)) return json;
  return json.replace(MARKED_STRING, (_, escaped) => JSON.parse(`"${escaped}"`));
}

export function encodeLine(value: unknown): string {
  return `${encodeJson(value)}\n`;
}

function excerpt(line: string): string {
  return JSON.stringify(clip(line, 200));
}
