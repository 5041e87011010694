// The faults, and what rrr promises of each: to go on to the same bytes, or to stop with cause, last log lines and cure.
// A row takes a FaultRun and returns what became of a promise; undefined where this machine can't stage the fault.
import { createHash, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mountDisk } from './disk.mjs';
import { serveSlowly } from './endpoint.mjs';
import { PYTHON, repository } from './engines.mjs';

/** @import { FaultRun } from './run.mjs' */
/** @import { Outcome, StartOptions } from './types.ts' */
/** @typedef {(run: FaultRun) => Promise<Outcome | undefined>} Stage */

/** What random kills are drawn from. */
export const SEED = process.env.RRR_FAULT_SEED || randomUUID();

const CURE = /^cure: ./;
const INTERRUPTED = 130;

/** @param {string} why */
const restarted = (why) => new RegExp(`^sampler-\\d: ${why}.*; starting it again \\(1 of 3\\)$`, 'm');

/**
 * @param {FaultRun} run
 * @param {NodeJS.Signals} signal
 * @param {StartOptions & { note?: string }} [options]
 */
async function strikeWorker(run, signal, { note = `killed by ${signal}`, ...options } = {}) {
  const rrr = await run.startWorking(options);
  const { worker } = await run.sampler();
  run.strike({ pid: worker.pid, signal });
  return run.goesOn(rrr, restarted(note));
}

/** @type {(run: FaultRun, signal: NodeJS.Signals) => Promise<Outcome>} */
async function signalOrchestrator(run, signal) {
  const rrr = await run.startWorking();
  run.strike({ pid: rrr.pid, signal });
  return run.resumes(rrr, signal === 'SIGKILL' ? signal : INTERRUPTED);
}

/**
 * Nobody is left to kill the worker's processes: vLLM's see it themselves, the fake's would not.
 * @type {Stage}
 */
async function killGuardianAndOrchestrator(run) {
  const rrr = await run.startWorking({ env: { FAKE_CHILD: '' } });
  const { guardian } = await run.sampler();
  run.strike({ pid: rrr.pid }, guardian);
  return run.resumes(rrr, 'SIGKILL');
}

/**
 * Interrupts a run five times, each time at another moment, and lets it end.
 * @type {Stage}
 */
async function interruptFiveTimes(run) {
  // So slow that five attempts don't finish.
  const sets = ['workers.count=3', 'workers.max_in_flight=1'];
  const slow = { args: ['--resume'], sets, env: { FAKE_DELAY_S: '0.25' } };
  for (let attempt = 0; attempt < 5; attempt++) {
    const done = run.lines('failures/journal.jsonl').length;
    const rrr = run.start(slow);
    await run.results(done + 1);
    const dice = createHash('sha256').update(`${SEED} ${attempt}`).digest();
    await sleep(dice.readUInt16LE(0) % 300);
    process.kill(rrr.pid, dice.readUInt8(2) < 128 ? 'SIGKILL' : 'SIGINT');
    await rrr.ended;
    const left = await run.leftovers();
    if (left.length > 0)
      return { ok: false, outcome: `left something at attempt ${attempt + 1}`, shown: '', leftovers: left };
  }
  run.struckAt = Date.now();
  return run.goesOn(run.start({ args: ['--resume'], sets }));
}

/** @type {Record<string, Stage>} */
export const FAKE_ROWS = {
  'worker SIGKILLed': (run) => strikeWorker(run, 'SIGKILL'),
  'worker SIGTERMed': (run) => strikeWorker(run, 'SIGTERM'),
  'worker hung (SIGSTOP)': (run) =>
    strikeWorker(run, 'SIGSTOP', {
      sets: ['workers.call_timeout_s=3'],
      note: 'no answer to sample_failures within 3 s',
    }),
  'worker prints garbage': async (run) => {
    const rrr = run.start({ env: { FAKE_GARBAGE: join(run.home, 'garbage') } });
    return run.goesOn(rrr, restarted('broke the protocol: a line is no JSON'));
  },
  'out of memory at start': (run) =>
    run.stops(run.start({ env: { FAKE_START: 'memory' } }), {
      exit: 1,
      says: [
        /no worker is left; sampler-\d: gave up: the engine did not start/,
        /^torch.OutOfMemoryError/,
        CURE,
      ],
    }),
  'worker never ready': (run) =>
    run.stops(
      run.start({
        env: { FAKE_START: 'silent' },
        sets: ['workers.ready_timeout_s=3', 'workers.max_restarts=0'],
      }),
      {
        exit: 1,
        says: [/no worker is left; sampler-\d: no ready frame within 3 s \(workers.ready_timeout_s\)/, CURE],
      },
    ),
  'slow worker': async (run) => {
    // At 3 s a query and three at once, a half of the 60 queries would take it 30 s.
    const rrr = run.start({ env: { FAKE_SLOW_WORKER: '0', FAKE_DELAY_S: '0.1' } });
    await run.results(1);
    run.struckAt = Date.now();
    const outcome = await run.goesOn(rrr);
    const idle = Date.now() - run.struckAt > 20_000;
    return idle ? { ...outcome, ok: false, shown: 'the others idled' } : outcome;
  },
  'slow query': async (run) => {
    const rrr = run.start({ env: { FAKE_SLOW_QUERY: '0' } });
    await run.results(1);
    run.struckAt = Date.now();
    const outcome = await run.goesOn(rrr);
    const last = JSON.parse(run.lines('failures/journal.jsonl').at(-1) ?? '');
    return last.index === 0 ? outcome : { ...outcome, ok: false, shown: 'the others waited for it' };
  },
  'all workers gone': (run) =>
    run.stops(run.start({ env: { FAKE_POISON: 'all' }, sets: ['workers.max_restarts=1'] }), {
      exit: 1,
      says: [/no worker is left; sampler-\d: exit code 9/, /^device-side assert triggered$/, CURE],
    }),
  'orchestrator SIGKILLed': (run) => signalOrchestrator(run, 'SIGKILL'),
  'orchestrator SIGINT': (run) => signalOrchestrator(run, 'SIGINT'),
  'orchestrator SIGTERM': (run) => signalOrchestrator(run, 'SIGTERM'),
  'guardian SIGKILLed': async (run) => {
    const rrr = await run.startWorking();
    const { guardian } = await run.sampler();
    run.strike(guardian);
    return run.goesOn(rrr, restarted('killed by SIGKILL'));
  },
  'guardian and worker at once': async (run) => {
    const rrr = await run.startWorking();
    const { guardian, worker } = await run.sampler();
    run.strike(guardian, worker);
    return run.goesOn(rrr, restarted('killed by SIGKILL'));
  },
  'guardian and orchestrator at once': killGuardianAndOrchestrator,
  'interrupted five times, 3 workers': interruptFiveTimes,
  'disk full': async (run) => {
    const disk = await mountDisk(run);
    if (!disk) return undefined;
    try {
      const rrr = await run.startWorking();
      disk.fill();
      run.letGo();
      const stopped = await run.stops(rrr, { exit: 1, says: [/no space left on device/, CURE] });
      const seconds = run.seconds;
      disk.makeRoom();
      const resumed = await run.goesOn(run.start({ args: ['--resume'] }));
      const ok = stopped.ok && resumed.ok;
      const shown = `${stopped.shown}; ${resumed.shown}`;
      return { ok, outcome: `${stopped.outcome}; --resume ${resumed.outcome}`, shown, seconds };
    } finally {
      disk.unmount();
    }
  },
  'read-only run directory': async (run) => {
    const disk = await mountDisk(run, { readOnly: true });
    if (!disk) return undefined;
    try {
      run.struckAt = Date.now();
      return await run.stops(run.start(), { exit: 2, says: [/read-only file system/, CURE] });
    } finally {
      disk.unmount();
    }
  },
  'second orchestrator': async (run) => {
    const first = await run.startWorking();
    run.struckAt = Date.now();
    const says = [new RegExp(`^error: another rrr works on this run: process ${first.pid} `), CURE];
    const refused = await run.stops(run.start({ args: ['--resume'] }), { exit: 2, says });
    const seconds = run.seconds;
    run.letGo();
    const went = await run.goesOn(first);
    return {
      ...refused,
      ok: refused.ok && went.ok,
      outcome: `${refused.outcome}; the first ${went.outcome}`,
      seconds,
    };
  },
  'terminal lost': async (run) => {
    run.prefix = ['python3', repository('test/fixtures/lose_terminal.py'), 'kept'];
    const rrr = run.start({ env: { FAKE_DELAY_S: '0.2' } });
    run.prefix = [];
    run.struckAt = Date.now();
    return run.resumes(rrr, 0); // the exit code of the script that takes the terminal away
  },
  'SIGHUP under nohup': async (run) => {
    run.prefix = ['nohup'];
    const rrr = await run.startWorking();
    run.strike({ pid: rrr.pid, signal: 'SIGHUP' });
    return run.goesOn(rrr);
  },
  'reader of the output gone': async (run) => {
    run.prefix = ['sh', '-c', '"$@" 2>&1 | head -1', 'sh'];
    run.struckAt = Date.now();
    return run.goesOn(run.start());
  },
  'slow endpoint': async (run) => {
    const { url, close } = await serveSlowly(500);
    try {
      run.struckAt = Date.now();
      const sets = [
        `engine={name: openai, openai: {base_urls: ['${url}'], model: slow}}`,
        'failures={max_draws: 6, failures_per_query: 6}',
        'workers.call_timeout_s=1.5', // half of what the draws of a query take
        'data.train_rows=12',
      ];
      const { code, stderr } = await run.start({ sets, env: { RRR_PYTHON: PYTHON } }).ended;
      const draws = run.lines('failures/tallies.jsonl').map((line) => JSON.parse(line).draws);
      const lost = /starting it again/.test(stderr);
      const ok = code === 0 && !lost && draws.length === 12 && draws.every((count) => count === 6);
      const shown = lost ? 'LOST A WORKER' : `${draws.length} queries of 6 draws`;
      return { ok, outcome: code === 0 ? 'went on' : `stopped, exit ${code}`, shown };
    } finally {
      close();
    }
  },
};

/** @type {Record<string, Stage>} */
export const VLLM_ROWS = {
  'worker SIGKILLed': (run) => strikeWorker(run, 'SIGKILL'),
  'engine core SIGKILLed': async (run) => {
    const rrr = await run.startWorking();
    run.strike(await (await run.sampler()).engine());
    return run.goesOn(rrr, restarted('gave up: the vLLM engine'));
  },
  'engine core hung (SIGSTOP)': async (run) => {
    const rrr = await run.startWorking({ sets: ['workers.call_timeout_s=5'] });
    run.strike({ ...(await (await run.sampler()).engine()), signal: 'SIGSTOP' });
    return run.goesOn(rrr, restarted('no answer to sample_failures within 5 s'));
  },
  'out of memory at start': (run) =>
    run.stops(run.start({ sets: ['engine.cpu_kv_cache_gib=100000'] }), {
      exit: 1,
      says: [
        /no worker is left; sampler-0: gave up: vLLM did not start/,
        /Available memory .* is less than requested/,
        CURE,
      ],
    }),
  'orchestrator SIGKILLed': (run) => signalOrchestrator(run, 'SIGKILL'),
  'guardian and orchestrator at once': killGuardianAndOrchestrator,
  'interrupted five times, 3 workers': interruptFiveTimes,
};
