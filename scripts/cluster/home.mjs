// A folder with a config and a run directory, rrr's commands on it, and the hands of a cluster's operator.
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { slurm } from './operator.mjs';

/** @param {string} path */
const repository = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/**
 * What a job runs: a stage that counts to 20, with no model, or training in two processes.
 * @typedef {'toy' | 'train'} Work
 */
/** @typedef {{ code: number, stdout: string, stderr: string, json: any }} Answer */

/** Ahead of the end: Slurm looks every 30 s, and signals up to 30 s early. */
const AHEAD_S = 60;

/** @type {Record<Work, { main: string, config: string, limitS: number }>} */
const WORKS = {
  toy: {
    main: repository('test/fixtures/toy-stage.mjs'),
    config: 'model: {name: ./model}\ndata: {source: generator, rows: 9}',
    limitS: 60,
  },
  train: {
    main: repository('dist/main.js'),
    config: readFileSync(repository('configs/demo.yaml'), 'utf8').replaceAll(
      '../models',
      repository('models'),
    ),
    limitS: 600,
  },
};

export class JobHome {
  #cwd = mkdtempSync(join(tmpdir(), 'rrr-job-'));
  #env;
  #work;
  /** @type {string[]} */
  #sets;
  /** Slurm's id of every job that was submitted. */
  jobs = new Set();

  /**
   * @param {Work} work
   * @param {{ sets?: string[], env?: NodeJS.ProcessEnv }} [options]
   */
  constructor(work, { sets = [], env = {} } = {}) {
    this.#work = WORKS[work];
    this.#env = env;
    this.#sets = [
      'launch.slurm.cpus_per_node=1',
      `launch.slurm.signal_ahead_s=${AHEAD_S}`,
      'launch.slurm.time=10',
      ...sets,
    ];
    writeFileSync(join(this.#cwd, 'a.yaml'), this.#work.config);
    mkdirSync(join(this.#cwd, 'model'));
    for (const name of ['config.json', 'tokenizer.json']) writeFileSync(join(this.#cwd, 'model', name), '{}');
    writeFileSync(join(this.#cwd, 'model/model.safetensors'), Buffer.from('\x02\0\0\0\0\0\0\0{}'));
  }

  /** The words of a command line. @param {string[]} words */
  command(...words) {
    return [process.execPath, this.#work.main, ...words];
  }

  /** The words that submit the run. @param {string[]} more */
  submitting(only = 'toy', ...more) {
    const sets = this.#sets.flatMap((set) => ['--set', set]);
    return this.command('submit', '-c', 'a.yaml', '--run', 'run', '--only', only, ...sets, ...more);
  }

  /**
   * @param {string[]} words
   * @returns {Promise<Answer>}
   */
  async call([program = '', ...args]) {
    const env = { ...process.env, ...this.#env };
    return new Promise((resolve) => {
      execFile(program, args, { cwd: this.#cwd, env, maxBuffer: 1 << 28 }, (error, stdout, stderr) => {
        const last = stdout.trimEnd().split('\n').at(-1) ?? '';
        const json = last.startsWith('{') ? JSON.parse(last) : undefined;
        resolve({ code: Number(error ? (error.code ?? -1) : 0), stdout, stderr, json });
      });
    });
  }

  /** Starts `rrr logs --follow` and waits for its first word; gives the function that ends it and returns what it told. */
  async follow() {
    const [program = '', ...args] = this.command('logs', 'run', '--follow');
    const child = spawn(program, args, { cwd: this.#cwd, stdio: ['ignore', 'ignore', 'pipe'] });
    let told = '';
    child.stderr.on('data', (chunk) => {
      told += chunk;
    });
    await once(child.stderr, 'data');
    return async () => {
      child.kill('SIGINT');
      await once(child, 'exit');
      return told;
    };
  }

  /** Submits the run; throws where that is refused. @param {string[]} more */
  async submit(only = 'toy', ...more) {
    const answer = await this.call([...this.submitting(only, ...more), '--json']);
    if (answer.code !== 0) throw new Error(`submit: ${answer.stderr}`);
    this.jobs.add(answer.json.job);
    return /** @type {number} */ (answer.json.job);
  }

  async status() {
    const { code, stderr, json } = await this.call(this.command('status', 'run', '--json'));
    if (code !== 0) throw new Error(`rrr status: ${stderr}`);
    return json;
  }

  /**
   * The status once it is so; throws with the last one after the limit.
   * @param {string} what
   * @param {(status: any) => unknown} isSo
   */
  async until(what, isSo) {
    let status;
    for (const end = Date.now() + this.#work.limitS * 1000; Date.now() < end; await sleep(1000)) {
      status = await this.status();
      if (isSo(status)) return status;
    }
    throw new Error(
      `waited ${this.#work.limitS} s in vain for ${what}: ${JSON.stringify(status)}\n${this.read('job/latest')}`,
    );
  }

  /** The work has begun, and gone beyond this much. */
  beyond(done = 0) {
    return this.until(
      `work beyond ${done}`,
      ({ state, stages }) => state === 'running' && stages.at(-1)?.done > done,
    );
  }

  finished() {
    return this.until('the end', ({ job, state }) => job.state === 'ended' && state === 'finished');
  }

  /** @param {string} path */
  read(path) {
    try {
      return readFileSync(join(this.#cwd, 'run', path), 'utf8');
    } catch {
      return '';
    }
  }

  /** What the toy has counted, in the order of its journal. */
  counted() {
    return this.read('toy/journal.jsonl')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).number);
  }

  /** Of every weight file of the trained model. */
  weights() {
    const folder = join(this.#cwd, 'run/train/model');
    const files = readdirSync(folder)
      .filter((file) => file.endsWith('.safetensors'))
      .sort();
    return files
      .map((file) =>
        createHash('sha256')
          .update(readFileSync(join(folder, file)))
          .digest('hex'),
      )
      .join(' ');
  }

  /** The time limit comes near: Slurm sends its signal, and half a minute or more later ends the job. @param {number} job */
  async timeRunsOut(job) {
    const end = new Date(Date.now() + (AHEAD_S + 10) * 1000).toLocaleString('sv-SE').replace(' ', 'T');
    await slurm('scontrol', 'update', `jobid=${job}`, `EndTime=${end}`);
  }

  /** What Slurm sends then, at once. @param {number} job */
  async tellAhead(job) {
    await slurm('scancel', '--batch', '--signal=USR1', `${job}`);
  }

  /** The finished stages of another home. @param {JobHome} other */
  copyRun(other) {
    for (const name of ['run.json', 'data', 'failures'])
      cpSync(join(other.#cwd, 'run', name), join(this.#cwd, 'run', name), { recursive: true });
  }

  /** A requeued job waits for two minutes, which only its user or an operator can shorten. @param {number} job */
  async startsAgain(job) {
    await this.until('the requeue', ({ job: now }) => now.state === 'waiting' && now.slurm.restarts > 0);
    // In the second of its end the node would refuse it: its credential is revoked.
    await sleep(3000);
    await slurm('scontrol', 'update', `jobid=${job}`, 'StartTime=now');
  }

  async close() {
    for (const job of this.jobs) await slurm('scancel', `${job}`).catch(() => {});
    for (const end = Date.now() + 20_000; Date.now() < end; await sleep(200)) {
      if ((await slurm('squeue', '-h', '-j', [...this.jobs, 0].join(','), '-o', '%i').catch(() => '')) === '')
        break;
    }
    rmSync(this.#cwd, { recursive: true, force: true, maxRetries: 5 });
  }
}
