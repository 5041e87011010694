/** Progress for people: one line that is redrawn on a terminal, a plain line every few seconds elsewhere. */
import { clearLine, cursorTo } from 'node:readline';
import { duration } from '../report/format.ts';
import { measurePace, type Progress, type ProgressUpdate } from '../run/progress.ts';

const REDRAW_MS = 100;
const PLAIN_LINE_MS = 5000;
/** While nothing is done yet, such as while a model loads, a plain line only says that we are alive. */
const ALIVE_LINE_MS = 30_000;

interface Phase extends ProgressUpdate {
  name: string;
  startedAt: number;
  /** What an earlier run had done: it doesn't count for the rate. */
  before: number;
}

export class ProgressRenderer implements Progress {
  readonly #stream: NodeJS.WriteStream;
  readonly #where: string;
  #phase: Phase | undefined;
  #drawnAt = 0;
  /** Keeps elapsed time and ETA moving while nothing is reported. */
  #timer: NodeJS.Timeout | undefined;

  /** `where` stands before the names of phases: where in the whole they are. */
  constructor(stream: NodeJS.WriteStream, where = '') {
    this.#stream = stream;
    this.#where = where;
  }

  start(name: string, total: number | null, done = 0): void {
    this.finish();
    this.#phase = { name: this.#where + name, total, done, before: done, startedAt: Date.now() };
    this.#drawnAt = Date.now();
    if (!this.#stream.isTTY) this.#stream.write(`${describeCount(this.#phase)}\n`);
    this.#timer = setInterval(() => this.#draw(), this.#stream.isTTY ? REDRAW_MS : PLAIN_LINE_MS).unref();
  }

  update(update: ProgressUpdate): void {
    if (!this.#phase) return;
    Object.assign(this.#phase, update);
    this.#draw();
  }

  note(line: string): void {
    this.#clear();
    this.#stream.write(`${line}\n`);
  }

  finish(): void {
    if (!this.#phase) return;
    clearInterval(this.#timer);
    this.#clear();
    const elapsed = duration((Date.now() - this.#phase.startedAt) / 1000);
    this.#stream.write(`${join(`${describeCount(this.#phase)} in ${elapsed}`, this.#phase)}\n`);
    this.#phase = undefined;
  }

  get #interval(): number {
    if (this.#stream.isTTY) return REDRAW_MS;
    return this.#phase?.done === this.#phase?.before ? ALIVE_LINE_MS : PLAIN_LINE_MS;
  }

  #draw(): void {
    if (!this.#phase || Date.now() - this.#drawnAt < this.#interval) return;
    this.#drawnAt = Date.now();
    const line = describePhase(this.#phase, Date.now());
    if (!this.#stream.isTTY) {
      this.#stream.write(`${line}\n`);
      return;
    }
    this.#clear();
    // A wrapped line could not be cleared.
    this.#stream.write(line.slice(0, (this.#stream.columns || 80) - 1));
  }

  #clear(): void {
    if (!this.#stream.isTTY) return;
    cursorTo(this.#stream, 0);
    clearLine(this.#stream, 0);
  }
}

export function describePhase(phase: Phase, now: number): string {
  const { seconds, rate, eta } = measurePace(phase, now);
  const parts = [describeCount(phase)];
  if (phase.total) parts.push(`${Math.floor((100 * phase.done) / phase.total)} %`);
  if (rate > 0) parts.push(rate >= 1 ? `${rate.toFixed(1)}/s` : `${(60 * rate).toFixed(1)}/min`);
  parts.push(eta === null ? duration(seconds) : `ETA ${duration(eta)}`);
  return join(parts.join('  '), phase);
}

function describeCount({ name, done, total }: Phase): string {
  if (total !== null) return `${name}: ${done}/${total}`;
  return done === 0 ? name : `${name}: ${done}`;
}

function join(line: string, { counters = {} }: ProgressUpdate): string {
  return [line, ...Object.entries(counters).map(([name, value]) => `${name} ${value}`)].join('  ');
}
