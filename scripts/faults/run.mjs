// One run directory under faults: starts rrr on it, finds its processes, and compares how it ended with what is promised.
import { spawn } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { kill, MARK, processesOf, until } from './processes.mjs';

const repository = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const MAIN = repository('dist/main.js');
const LEFTOVER_S = 10;

/** What rows run on, how a run is configured for it, and when a run of it is overdue. */
export const ENGINES = {
  fake: {
    config: (home) => {
      mkdirSync(join(home, 'model'));
      writeFileSync(join(home, 'model/config.json'), '{}');
      writeFileSync(
        join(home, 'config.yaml'),
        'model: {name: ./model}\ndata: {source: generator, rows: 100}\nfailures: {max_draws: 6}\n' +
          'workers: {count: 2, max_in_flight: 3, stop_grace_s: 2}\n',
      );
      const python = process.env.RRR_PYTHON || repository('.venv/bin/python');
      const script = `#!/bin/sh\nPYTHONPATH='${repository('test/fixtures')}' exec '${python}' "$1" "$2" fake_worker\n`;
      writeFileSync(join(home, 'python'), script, { mode: 0o755 });
      return {
        config: join(home, 'config.yaml'),
        sets: [],
        env: { RRR_PYTHON: join(home, 'python'), FAKE_CHILD: '1' },
      };
    },
    limitS: 60,
  },
  vllm: {
    config: () => ({
      config: repository('configs/demo.yaml'),
      sets: [
        'data.rows=1000',
        'data.train_rows=300',
        'failures.failures_per_query=8',
        'workers.max_in_flight=8',
      ],
      env: { OMP_WAIT_POLICY: 'PASSIVE' },
    }),
    limitS: 400,
  },
};

export class FaultRun {
  /** When the fault struck. */
  struckAt = Date.now();
  /** What precedes every command: a way into another mount namespace. */
  prefix = [];
  /** Where to read what those commands write. */
  root = '';
  #endedAt = Number.NaN;
  #engine;
  #mark = randomUUID();
  #groups = new Set();
  #setup;
  #home = mkdtempSync(join(tmpdir(), 'rrr-fault-'));
  #unbroken;

  /** `unbroken`: the digests of a run that nothing happened to; undefined for that run itself. */
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

  /** Starts `rrr build-failures`; `ended` is {code, stderr}, code being a signal's name where one killed it. */
  start({ args = [], sets = [], env = {} } = {}) {
    const { config, sets: always, env: base } = this.#setup;
    const set = [...always, ...sets].flatMap((each) => ['--set', each]);
    const [command, ...rest] = [...this.prefix, process.execPath, MAIN, 'build-failures', '-c', config];
    const child = spawn(command, [...rest, ...set, '--run', this.directory, ...args], {
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
    return { pid: child.pid, ended };
  }

  /** Starts rrr and returns it in the middle of its work, where the fake stays until `letGo`. */
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

  /** Waits for this many finished queries. */
  async results(count) {
    await until(
      `${count} results`,
      () => this.lines('failures/journal.jsonl').length >= count,
      this.#engine.limitS,
    );
  }

  /** Notes the time and sends the signals. */
  strike(...targets) {
    this.struckAt = Date.now();
    kill(...targets);
    this.letGo();
  }

  read(path) {
    const file = join(`${this.root}${this.directory}`, path);
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  lines(path) {
    return this.read(path).split('\n').slice(0, -1);
  }

  /** The first sampler's guardian, its worker and its engine core, once it takes calls. */
  async sampler() {
    const logged = (what) => this.#logged(what).filter(({ worker }) => worker === 'sampler-0');
    await until('sampler-0', () => logged('worker ready').length > 0);
    const guardian = logged('worker started').at(-1).pid;
    const find = (test) => until('the processes of sampler-0', () => this.processes().find(test));
    return {
      guardian: { pid: guardian },
      worker: await find(({ parent }) => parent === guardian),
      engine: () =>
        find(({ parent, command }) => parent !== guardian && command.startsWith('VLLM::EngineCor')),
    };
  }

  /** The lines of rrr's own log that tell this. */
  #logged(what) {
    const records = this.lines('logs/rrr.log').map((line) => JSON.parse(line));
    return records.filter(({ msg }) => msg === what);
  }

  processes() {
    for (const { pid } of this.#logged('worker started')) this.#groups.add(pid);
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

  /** The promise that rrr ends well and with the bytes of the unbroken run, and notes the fault where it is one to note. */
  async goesOn(rrr, note = /^/) {
    const { code, stderr } = await rrr.ended;
    if (code !== 0) return { ok: false, outcome: `stopped, exit ${code}`, shown: errorOf(stderr)[0] };
    if (!note.test(stderr)) return { ok: false, outcome: 'went on', shown: `NOT NOTED: ${note}` };
    const equal = this.digests() === this.#unbroken;
    return { ok: equal, outcome: 'went on', shown: equal ? 'bytes equal' : 'BYTES DIFFER' };
  }

  /** The promise that rrr stops with this exit code, and an error whose every line below is found. */
  async stops(rrr, { exit, says }) {
    const { code, stderr } = await rrr.ended;
    const error = errorOf(stderr);
    const missing = says.filter((expected) => !error.some((line) => expected.test(line)));
    const shown =
      missing.length > 0 ? `NOT SAID: ${missing.join(', ')}; SAID: ${error.join(' | ')}` : error[0];
    return { ok: code === exit && missing.length === 0, outcome: `stopped, exit ${code}`, shown };
  }

  /** The promise that what is left dies, and --resume gives the bytes of the unbroken run. */
  async resumes(rrr, exit) {
    const { code } = await rrr.ended;
    const { seconds } = this;
    const leftovers = await this.leftovers();
    const { ok, outcome, shown } = await this.goesOn(this.start({ args: ['--resume'] }));
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

  /** Puts a promise's outcome, the time it took and what was left behind together. */
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
        if (error.code !== 'ESRCH') throw error;
      }
    }
    rmSync(this.#home, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** The error that rrr ended with: its lines from the first that is one. */
function errorOf(stderr) {
  const lines = stderr.trimEnd().split('\n');
  const first = lines.findIndex((line) => /^(error|bug): |^interrupted/.test(line));
  return first === -1 ? lines.slice(-1) : lines.slice(first);
}
