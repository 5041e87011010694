/**
 * One child process that speaks the protocol. Whatever ends it (its exit, a bad line, a wait that took too long) goes
 * through one place, which ends the whole process group and rejects every unanswered call with the reason.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Config } from '../config/schema.ts';
import type { Launcher, LaunchRequest, WorkerProcess } from '../launch/launcher.ts';
import { BadLine, encodeLine, LineDecoder, parseWorkerLine } from '../protocol/jsonl.ts';
import {
  type ErrorInfo,
  type ParentFrame,
  PROTOCOL_VERSION,
  type WorkerFrame,
} from '../protocol/messages.ts';
import type { WorkerNews, WorkerRecorder } from '../run/worker-events.ts';
import { CallError, WorkerLostError } from './errors.ts';
import { whereItHangs } from './hang.ts';
import { readLogTail } from './log-tail.ts';
import { type CallOptions, PendingCalls, toMs } from './pending-calls.ts';

/** From SIGTERM to SIGKILL: an engine in C code rarely hears SIGTERM. */
const TERM_GRACE_S = 5;
const SLOW_CODE = 'let the code of the task end in time, whatever a model writes; rrr task check tries it';
/** A process that SIGKILL doesn't end hangs in the kernel: its calls fail after this time. */
const KILL_WAIT_S = 10;

/** What all workers of a run share: how they start, and where events about them are recorded. */
export interface WorkerContext {
  launcher: Launcher;
  log: Logger;
  /** Absent where there is no run directory. */
  recorder?: WorkerRecorder | undefined;
  /** `hub` of run.json. */
  hubCommits?: Readonly<Record<string, string>> | undefined;
}

export interface WorkerSpec extends LaunchRequest {
  config: Config;
  /** The role's own: `start.options`. */
  options: Record<string, unknown>;
  readyTimeoutS: number;
  onProgress?: ((progress: Progress) => void) | undefined;
  onReady?: (info: Ready['info']) => void;
}
type Ready = Extract<WorkerFrame, { type: 'ready' }>;
type Progress = Extract<WorkerFrame, { type: 'progress' }>;

export class Worker {
  readonly name: string;
  /** Rejects with WorkerLostError when the worker ends before it is ready. */
  readonly ready: Promise<void>;
  /** Why it ended, also when it was told to. Never rejects. */
  readonly ended: Promise<WorkerLostError>;
  readonly #spec: WorkerSpec;
  readonly #log: Logger;
  readonly #recorder: WorkerRecorder | undefined;
  readonly #hubCommits: WorkerContext['hubCommits'];
  readonly #process: WorkerProcess;
  readonly #pending = new PendingCalls();
  /** Lines for its stdin. */
  #unsent = '';
  #state: 'starting' | 'ready' | 'ending' = 'starting';
  #stopping = false;
  #awaited: 'hello' | 'ready' = 'hello';
  #startTimer: NodeJS.Timeout;
  #settleReady!: { resolve: () => void; reject: (error: Error) => void };
  #settleEnded!: (error: WorkerLostError) => void;

  constructor(spec: WorkerSpec, { launcher, log, recorder, hubCommits }: WorkerContext) {
    this.#spec = spec;
    this.name = spec.name;
    this.#log = log.child({ worker: spec.name });
    this.#recorder = recorder;
    this.#hubCommits = hubCommits;
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = { resolve, reject };
    });
    this.ready.catch(() => {}); // for those who only watch `ended`
    this.ended = new Promise((resolve) => {
      this.#settleEnded = resolve;
    });
    this.#process = launcher.launch(spec);
    const { pid } = this.#process;
    this.#log.info({ pid, module: spec.module }, 'worker started');
    this.#record({ event: 'started', pid: pid ?? null });
    this.#readFrames();
    void this.#process.exited.then((how) => {
      this.#log.info({ how, expected: this.#stopping }, 'worker exited');
      this.#record({ event: 'exited', how });
      void this.#end(how);
    });
    this.#startTimer = this.#startWaiting();
  }

  /** Whether it takes calls. */
  get accepting(): boolean {
    return this.#state === 'ready' && !this.#stopping;
  }

  /** Rejects with CallError when the worker answers so, with WorkerLostError when it never will. */
  call(method: string, params: Record<string, unknown>, options: CallOptions): Promise<unknown> {
    if (!this.accepting) return this.ended.then((lost) => Promise.reject(lost));
    const { id, answer } = this.#pending.add(options, (culprit) => {
      void this.#end(`no answer to ${method} within ${options.timeoutS} s`, { culprit, hangs: true });
    });
    this.#send({ type: 'call', id, method, params: params as never });
    return answer;
  }

  /**
   * Lets running calls finish for `graceS` seconds and ends the worker: stop frame, SIGTERM, SIGKILL to the group. The
   * intent is marked first, so that the exit is no crash. Resolves when the process is gone.
   */
  async stop(graceS: number): Promise<void> {
    this.#stopping = true;
    this.#send({ type: 'stop' });
    this.#flush();
    for (const [signal, waitS] of [
      ['SIGTERM', graceS],
      ['SIGKILL', TERM_GRACE_S],
    ] as const) {
      if (await this.#endsWithin(waitS)) return;
      this.#log.warn({ signal }, 'worker did not stop');
      this.#process.signal(signal);
    }
    await this.#endsWithin(KILL_WAIT_S);
  }

  #record(news: WorkerNews): void {
    this.#recorder?.record(this.name, news);
  }

  #startWaiting(): NodeJS.Timeout {
    const { readyTimeoutS } = this.#spec;
    return setTimeout(
      () =>
        void this.#end(`no ${this.#awaited} frame within ${readyTimeoutS} s (workers.ready_timeout_s)`, {
          hangs: true,
        }),
      toMs(readyTimeoutS),
    );
  }

  #endsWithin(seconds: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), toMs(seconds));
      void this.ended.then(() => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }

  /** Frames of one turn of the event loop go in one write: results come many at a time, and the next calls with them. */
  #send(frame: ParentFrame): void {
    if (this.#unsent === '') process.nextTick(() => this.#flush());
    this.#unsent += encodeLine(frame);
  }

  #flush(): void {
    if (this.#process.stdin.writable && this.#unsent !== '') this.#process.stdin.write(this.#unsent);
    this.#unsent = '';
  }

  #readFrames(): void {
    const decoder = new LineDecoder();
    this.#process.stdout.on('data', (chunk: Buffer) => {
      try {
        for (const line of decoder.push(chunk)) {
          if (this.#state === 'ending') return;
          this.#receive(parseWorkerLine(line));
        }
      } catch (error) {
        if (!(error instanceof BadLine)) throw error;
        void this.#end(`broke the protocol: ${error.message}`);
      }
    });
  }

  #receive(frame: WorkerFrame): void {
    switch (frame.type) {
      case 'result':
        this.#noteUnknown(frame.id, this.#pending.resolve(frame.id, frame.value));
        break;
      case 'error':
        this.#noteUnknown(frame.id, this.#pending.reject(frame.id, new CallError(frame.error)));
        break;
      case 'fatal':
        void this.#end(`gave up: ${frame.error.message}`, { info: frame.error });
        break;
      case 'event':
        this.#pending.receiveEvent(frame.id, frame.event);
        break;
      case 'progress':
        if (frame.id !== null) this.#pending.refresh(frame.id);
        this.#spec.onProgress?.(frame);
        break;
      case 'hello':
        this.#greet(frame);
        break;
      case 'ready':
        clearTimeout(this.#startTimer);
        this.#log.info({ info: frame.info }, 'worker ready');
        this.#record({ event: 'ready', info: frame.info });
        this.#spec.onReady?.(frame.info);
        this.#state = 'ready';
        this.#settleReady.resolve();
        break;
      case 'bye':
        this.#log.info({ reason: frame.reason }, 'worker said bye');
        break;
      default:
        frame satisfies never;
    }
  }

  #greet({ protocol, versions }: Extract<WorkerFrame, { type: 'hello' }>): void {
    this.#log.info({ protocol, versions }, 'worker said hello');
    this.#record({ event: 'hello', versions });
    if (protocol !== PROTOCOL_VERSION) {
      const message = `rrr speaks protocol ${PROTOCOL_VERSION}, its Python workers speak ${protocol}`;
      const info = { type: 'user' as const, message, cure: 'rrr setup', retryable: false };
      void this.#end(message, { info });
      return;
    }
    this.#awaited = 'ready';
    const { config, options } = this.#spec;
    this.#send({
      type: 'start',
      protocol: PROTOCOL_VERSION,
      config: { ...config, hub_commits: this.#hubCommits } as never,
      options: options as never,
    });
  }

  #noteUnknown(id: number, known: boolean): void {
    if (!known) this.#log.warn({ id }, 'reply to a call that nobody waits for, dropped');
  }

  /** The one way to the end, once. A worker that failed is killed and never returns. */
  async #end(
    why: string,
    about: { info?: ErrorInfo; culprit?: number; hangs?: boolean } = {},
  ): Promise<void> {
    if (this.#state === 'ending') return;
    this.#state = 'ending';
    clearTimeout(this.#startTimer);
    this.#pending.stopTimers();
    const { stderrPath: log } = this.#process;
    const lastWords = about.hangs ? readLogTail(log) : undefined; // before the stacks of all threads
    const code = about.hangs ? await whereItHangs(this.#process) : undefined;
    const reason = code === undefined ? why : `${why}; it is in the task's ${code}`;
    this.#process.signal('SIGKILL');
    const waiting = new AbortController();
    await Promise.race([
      this.#process.exited,
      sleep(toMs(KILL_WAIT_S), undefined, { signal: waiting.signal }).catch(() => {}),
    ]);
    waiting.abort();
    const message = this.#stopping ? `${this.name} was stopped` : `${this.name}: ${reason}`;
    if (!this.#stopping) {
      this.#log.error({ reason, ...about }, 'worker lost');
      this.#record({ event: 'lost', reason });
    }
    const details = lastWords ?? readLogTail(log);
    const info = about.info ?? (this.#awaited === 'hello' ? unfitPython(details) : undefined);
    const told = { details, log, info, cure: code === undefined ? undefined : SLOW_CODE };
    const lost = new WorkerLostError(message, told);
    const bystander = new WorkerLostError(message, { ...told, suspect: false });
    this.#settleReady.reject(lost);
    this.#pending.rejectAll((id) => ((about.culprit ?? id) === id ? lost : bystander));
    this.#settleEnded(lost);
  }
}

/** A Python that can't even import the worker lacks packages, or is too old. */
function unfitPython(log: readonly string[]): ErrorInfo | undefined {
  const why = log.map((line) => /\b(ModuleNotFoundError|ImportError|SyntaxError): [^)]+/.exec(line)?.[0]);
  const last = why.findLast((each) => each !== undefined);
  return last === undefined
    ? undefined
    : {
        type: 'user',
        message: `this Python can't run the workers: ${last}`,
        cure: 'rrr setup makes one that can; python in the config, or RRR_PYTHON, names another',
        retryable: false,
      };
}
