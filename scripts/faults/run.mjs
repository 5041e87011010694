// One run directory under faults: starts rrr on it, finds its processes, and compares how it ended with what is promised.
import { spawn } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ENGINES, repository } from './engines.mjs';
import { codeOf, kill, MARK, processesOf, until } from './processes.mjs';

/** @import { Engine, Outcome, Process, Rrr, StartOptions, WorkerEvent } from './types.ts' */

const MAIN = repository('dist/main.js');
const LEFTOVER_S = 10;

export class FaultRun {
  /** When the fault struck. */
  struckAt = Date.now();
  /**
   * What precedes every command: a way into another mount namespace.
   * @type {string[]}
   */
  prefix = [];
  /** Where to read what those commands write. */
  root = '';
  #endedAt = Number.NaN;
  #engine;
  #mark = randomUUID();
  /** @type {Set<number>} */
  #groups = new Set();
  #setup;
  #home = mkdtempSync(join(tmpdir(), 'rrr-fault-'));
  #unbroken;

  /**
   * @param {Engine} engine
   * @param {string | undefined} unbroken the digests of a run that nothing happened to; undefined for that run itself
   */
  constructor(engine, unbroken) {
    this.#engine = ENGINES[engine];
    this.#setup = this.#engine.config(this.#home);
    this.#unbroken = unbroken;
    mkdirSync(this.directory);
  }

  get directory() {
    return join(this.#home, 'run');
  }

  get home() {
    return this.#home;
  }

  /**
   * Starts a stage.
   * @param {StartOptions} [options]
   * @returns {Rrr}
   */
  start({ command = 'build-failures', args = [], sets = [], env = {} } = {}) {
    const { config, sets: always, env: base } = this.#setup;
    const set = [...always, ...sets].flatMap((each) => ['--set', each]);
    const [program = process.execPath, ...rest] = [
      ...this.prefix,
      process.execPath,
      MAIN,
      command,
      '-c',
      config,
    ];
    const child = spawn(program, [...rest, ...set, '--run', this.directory, ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...base, ...env, [MARK]: this.#mark },
    });
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    const overdue = setTimeout(() => child.kill('SIGKILL'), this.#engine.limitS * 1000);
    const ended = new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', (code, signal) => {
        clearTimeout(overdue);
        this.#endedAt = Date.now();
        // Not 'close': an orphan would hold our end of stderr.
        setTimeout(() => resolve({ code: signal ?? code, stderr }), 50);
      });
    });
    return { pid: Number(child.pid), ended };
  }

  /**
   * Starts rrr and returns it in the middle of its work, where the fake stays until `letGo`.
   * @param {StartOptions} [options]
   */
  async startWorking({ env, ...options } = {}) {
    writeFileSync(this.#hold, '');
    const rrr = this.start({ ...options, env: { FAKE_HOLD: this.#hold, ...env } });
    await this.results(10);
    return rrr;
  }

  letGo() {
    rmSync(this.#hold);
  }

  get #hold() {
    return join(this.#home, 'hold');
  }

  /**
   * Waits for this many finished queries.
   * @param {number} count
   */
  async results(count) {
    await until(
      `${count} results`,
      () => this.lines('failures/journal.jsonl').length >= count,
      this.#engine.limitS,
    );
  }

  /**
   * Notes the time and sends the signals.
   * @param {Parameters<typeof kill>} targets
   */
  strike(...targets) {
    this.struckAt = Date.now();
    kill(...targets);
    this.letGo();
  }

  /** @param {string} path */
  read(path) {
    const file = join(`${this.root}${this.directory}`, path);
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  /** @param {string} path */
  lines(path) {
    return this.read(path).split('\n').slice(0, -1);
  }

  /** The first sampler's guardian, its worker and its engine core, once it takes calls. */
  async sampler() {
    await until('sampler-0', () =>
      this.events().some(({ worker, event }) => worker === 'sampler-0' && event === 'ready'),
    );
    const guardian = await until('its guardian', () =>
      this.#guardians().findLast(({ worker }) => worker === 'sampler-0'),
    );
    /** @param {(process: Process) => boolean} test */
    const find = (test) => until('the processes of sampler-0', () => this.processes().find(test));
    return {
      guardian: { pid: guardian.pid },
      worker: await find(({ parent }) => parent === guardian.pid),
      engine: () =>
        find(({ parent, command }) => parent !== guardian.pid && command.startsWith('VLLM::EngineCor')),
    };
  }

  /** @returns {WorkerEvent[]} */
  events() {
    return this.lines('workers.jsonl').map((line) => JSON.parse(line));
  }

  /** The guardians that were started, oldest first. */
  #guardians() {
    return this.events().filter((line) => line.event === 'started');
  }

  processes() {
    for (const { pid } of this.#guardians()) this.#groups.add(pid);
    return processesOf(this.#mark, this.#groups);
  }

  /** How many processes there still are after ten seconds, or none as soon as there are none. */
  async leftovers() {
    const end = Date.now() + LEFTOVER_S * 1000;
    while (this.processes().length > 0 && Date.now() < end) await sleep(100);
    return this.processes();
  }

  digests() {
    const files = ['failures/failures.jsonl', 'failures/tallies.jsonl'];
    return files.map((file) => createHash('sha256').update(this.read(file)).digest('hex')).join(' ');
  }

  /**
   * The promise that rrr ends well and with the bytes of the unbroken run, and notes the fault where it is one to note.
   * @param {Rrr} rrr
   * @returns {Promise<Outcome>}
   */
  async goesOn(rrr, note = /^/) {
    const { code, stderr } = await rrr.ended;
    if (code !== 0) return { ok: false, outcome: `stopped, exit ${code}`, shown: errorOf(stderr)[0] };
    if (!note.test(stderr)) return { ok: false, outcome: 'went on', shown: `NOT NOTED: ${note}` };
    const equal = this.digests() === this.#unbroken;
    return { ok: equal, outcome: 'went on', shown: equal ? 'bytes equal' : 'BYTES DIFFER' };
  }

  /**
   * The promise that rrr stops with this exit code, and an error in which all of this is said.
   * @param {Rrr} rrr
   * @param {{ exit: number, says: RegExp[] }} promise
   * @returns {Promise<Outcome>}
   */
  async stops(rrr, { exit, says }) {
    const { code, stderr } = await rrr.ended;
    const error = errorOf(stderr);
    const missing = says.filter((expected) => !error.some((line) => expected.test(line)));
    const shown =
      missing.length > 0 ? `NOT SAID: ${missing.join(', ')}; SAID: ${error.join(' | ')}` : error[0];
    return { ok: code === exit && missing.length === 0, outcome: `stopped, exit ${code}`, shown };
  }

  /**
   * The promise that what is left dies, and --resume gives the bytes of the unbroken run.
   * @param {Rrr} rrr
   * @param {number | string} exit
   * @param {NodeJS.ProcessEnv} [env]
   * @returns {Promise<Outcome>}
   */
  async resumes(rrr, exit, env = {}) {
    const { code } = await rrr.ended;
    const { seconds } = this;
    const leftovers = await this.leftovers();
    const { ok, outcome, shown } = await this.goesOn(this.start({ args: ['--resume'], env }));
    return {
      ok: ok && code === exit && leftovers.length === 0,
      outcome: `exit ${code}; --resume ${outcome}`,
      shown,
      seconds,
      leftovers,
    };
  }

  /** From the strike to the end of rrr. */
  get seconds() {
    return (this.#endedAt - this.struckAt) / 1000;
  }

  /**
   * Puts a promise's outcome, the time it took and what was left behind together.
   * @param {Outcome} outcome
   */
  async settle(outcome) {
    const { seconds = this.seconds, leftovers = [] } = outcome;
    const left = leftovers.length > 0 ? leftovers : await this.leftovers();
    return { ...outcome, ok: outcome.ok && left.length === 0, seconds, left };
  }

  /** Ends whatever still runs. */
  close() {
    for (const target of this.processes()) {
      try {
        kill(target);
      } catch (error) {
        if (codeOf(error) !== 'ESRCH') throw error;
      }
    }
    rmSync(this.#home, { recursive: true, force: true, maxRetries: 5 });
  }
}

/**
 * The error that rrr ended with: its lines from the first that is one.
 * @param {string} stderr
 */
function errorOf(stderr) {
  const lines = stderr.trimEnd().split('\n');
  const first = lines.findIndex((line) => /^(error|bug): |^interrupted/.test(line));
  return first === -1 ? lines.slice(-1) : lines.slice(first);
}

/** @type {Set<FaultRun>} */
const open = new Set();
process.on('exit', () => {
  for (const run of open) run.close();
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

/**
 * A run for as long as `work` takes; also where the program is ended meanwhile, nothing of it is left.
 * @template T
 * @param {Engine} engine
 * @param {string | undefined} unbroken
 * @param {(run: FaultRun) => Promise<T>} work
 */
export async function withRun(engine, unbroken, work) {
  const run = new FaultRun(engine, unbroken);
  open.add(run);
  try {
    return await work(run);
  } finally {
    open.delete(run);
    run.close();
  }
}
