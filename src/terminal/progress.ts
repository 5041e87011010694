/** Progress for people: one line that is redrawn on a terminal, a plain line every few seconds elsewhere. */
import { clearLine, cursorTo } from 'node:readline';
import { duration } from '../report/format.ts';
import { Pace, type Progress, type ProgressUpdate, remaining } from '../run/progress.ts';

const REDRAW_MS = 100;
const PLAIN_LINE_MS = 5000;
/** While nothing is done yet, such as while a model loads, a plain line only says that we are alive. */
const ALIVE_LINE_MS = 30_000;

interface Phase extends ProgressUpdate {
  name: string;
  startedAt: number;
}

interface PacedPhase extends Phase {
  before: number;
  pace: Pace;
}

export class ProgressRenderer implements Progress {
  readonly #stream: NodeJS.WriteStream;
  readonly #where: string;
  #phase: PacedPhase | undefined;
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
    this.#phase = {
      name: this.#where + name,
      total,
      done,
      before: done,
      startedAt: Date.now(),
      pace: new Pace(done),
    };
    this.#drawnAt = Date.now();
    if (!this.#stream.isTTY) this.#stream.write(`${describeCount(this.#phase)}\n`);
    this.#timer = setInterval(() => this.#draw(), this.#stream.isTTY ? REDRAW_MS : PLAIN_LINE_MS).unref();
  }

  update(update: ProgressUpdate): void {
    if (!this.#phase) return;
    Object.assign(this.#phase, update);
    this.#phase.pace.note(update.done, Date.now());
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
    const parts = [`${describeCount(this.#phase)} in ${elapsed}`, ...describeCounters(this.#phase)];
    this.#stream.write(`${parts.join('  ')}\n`);
    this.#phase = undefined;
  }

  get #interval(): number {
    if (this.#stream.isTTY) return REDRAW_MS;
    return this.#phase?.done === this.#phase?.before ? ALIVE_LINE_MS : PLAIN_LINE_MS;
  }

  #draw(): void {
    if (!this.#phase || Date.now() - this.#drawnAt < this.#interval) return;
    const now = Date.now();
    this.#drawnAt = now;
    const parts = describePhase(this.#phase, this.#phase.pace.rate(now), now);
    if (!this.#stream.isTTY) {
      this.#stream.write(`${parts.join('  ')}\n`);
      return;
    }
    this.#clear();
    // A wrapped line could not be cleared.
    this.#stream.write(fit(parts, (this.#stream.columns || 80) - 1));
  }

  #clear(): void {
    if (!this.#stream.isTTY) return;
    cursorTo(this.#stream, 0);
    clearLine(this.#stream, 0);
  }
}

/** What is worth the most first. `rate`: items a second, null where it isn't known yet. */
export function describePhase(phase: Phase, rate: number | null, now: number): string[] {
  const eta = remaining(phase, rate);
  const parts = [describeCount(phase)];
  parts.push(eta === null ? duration((now - phase.startedAt) / 1000) : `ETA ${duration(eta)}`);
  if (phase.total) parts.push(`${Math.floor((100 * phase.done) / phase.total)} %`);
  if (rate) parts.push(rate >= 1 ? `${rate.toFixed(1)}/s` : `${(60 * rate).toFixed(1)}/min`);
  return [...parts, ...describeCounters(phase)];
}

/** As many of the parts as there is room for; the first is cut rather than the second dropped. */
function fit([count = '', time = '', ...others]: string[], width: number): string {
  const line = [shorten(count, width - time.length - 2), time];
  for (const part of others) {
    if ([...line, part].join('  ').length > width) break;
    line.push(part);
  }
  return line.join('  ').slice(0, width);
}

/** Without the start of its name: the numbers stand at the end. */
function shorten(count: string, width: number): string {
  return count.length <= width ? count : `...${count.slice(count.length + 3 - Math.max(width, 3))}`;
}

function describeCount({ name, done, total }: Phase): string {
  if (total !== null) return `${name}: ${done}/${total}`;
  return done === 0 ? name : `${name}: ${done}`;
}

function describeCounters({ counters = {} }: ProgressUpdate): string[] {
  return Object.entries(counters).map(([name, value]) => `${name} ${value}`);
}
