/** Workers inside the test's own process, for what depends on order and time: a script says how they answer. */
import { PassThrough } from 'node:stream';
import type { Launcher, LaunchRequest, WorkerProcess } from '../../src/launch/launcher.ts';
import { LineDecoder } from '../../src/protocol/jsonl.ts';
import {
  type ErrorInfo,
  type ParentFrame,
  PROTOCOL_VERSION,
  parentFrame,
  type WorkerFrame,
} from '../../src/protocol/messages.ts';

export type Call = Extract<ParentFrame, { type: 'call' }>;

/** What a worker does; by default it is ready at once, answers null, stops when told and dies of SIGKILL. */
export interface Script {
  launched?(worker: ScriptedWorker): void;
  start?(worker: ScriptedWorker): void;
  call?(call: Call, worker: ScriptedWorker): void;
  stop?(worker: ScriptedWorker): void;
}

export class ScriptedLauncher implements Launcher {
  /** All that were launched, in order. */
  readonly workers: ScriptedWorker[] = [];
  readonly #script: Script;

  constructor(script: Script = {}) {
    this.#script = script;
  }

  /** Of all workers, in the order of their launch. */
  get calls(): Call[] {
    return this.workers.flatMap(({ calls }) => calls);
  }

  launch(request: LaunchRequest): ScriptedWorker {
    const worker = new ScriptedWorker(request, this.#script);
    this.workers.push(worker);
    return worker;
  }
}

export class ScriptedWorker implements WorkerProcess {
  readonly pid = undefined;
  readonly stdin = new PassThrough();
  readonly stdout = new PassThrough();
  readonly stderrPath = '/nowhere';
  readonly exited: Promise<string>;
  /** What it was sent so far. */
  readonly signals: string[] = [];
  readonly calls: Call[] = [];
  options: Record<string, unknown> = {};
  config: Record<string, unknown> = {};
  readonly #script: Script;
  #dead = false;
  #exit!: (how: string) => void;

  constructor(
    readonly request: LaunchRequest,
    script: Script,
  ) {
    this.#script = script;
    this.exited = new Promise((resolve) => {
      this.#exit = resolve;
    });
    const decoder = new LineDecoder();
    this.stdin.on('data', (chunk) => {
      for (const line of decoder.push(chunk)) this.#receive(parentFrame.parse(JSON.parse(line)));
    });
    if (script.launched) script.launched(this);
    else this.tell({ type: 'hello', protocol: PROTOCOL_VERSION, role: 'scripted', pid: 1, versions: {} });
  }

  /** The dead say nothing. */
  tell(frame: WorkerFrame): void {
    if (!this.#dead) this.stdout.write(`${JSON.stringify(frame)}\n`);
  }

  ready(info: Record<string, string | string[]> = {}): void {
    this.tell({ type: 'ready', info });
  }

  answer({ id }: Pick<Call, 'id'>, value: unknown): void {
    this.tell({ type: 'result', id, value: value as never });
  }

  fail({ id }: Pick<Call, 'id'>, error: Pick<ErrorInfo, 'type'> & Partial<ErrorInfo>): void {
    this.tell({ type: 'error', id, error: { message: 'it failed', retryable: false, ...error } });
  }

  giveUp(error: Pick<ErrorInfo, 'type'> & Partial<ErrorInfo>): void {
    this.tell({ type: 'fatal', error: { message: 'it gave up', retryable: false, ...error } });
  }

  /** Once all that it told is read. */
  exit(how: string): void {
    this.#dead = true;
    this.stdout.once('end', () => this.#exit(how)).end();
  }

  signal(name: 'SIGTERM' | 'SIGKILL' | 'SIGUSR1'): void {
    this.signals.push(name);
    if (name === 'SIGKILL') this.exit('killed by SIGKILL');
  }

  #receive(frame: ParentFrame): void {
    if (this.#dead) return;
    if (frame.type === 'start') {
      this.options = frame.options;
      this.config = frame.config;
      if (this.#script.start) this.#script.start(this);
      else this.ready();
    } else if (frame.type === 'call') {
      this.calls.push(frame);
      if (this.#script.call) this.#script.call(frame, this);
      else this.answer(frame, null);
    } else if (this.#script.stop) this.#script.stop(this);
    else this.exit('exit code 0');
  }
}
