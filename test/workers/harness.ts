/** Real processes for the tests: the real launcher and guardian, with fake_worker.py in the place of every role. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { onTestFinished, vi } from 'vitest';
import { type Config, configSchema } from '../../src/config/schema.ts';
import { WORKERS } from '../../src/launch/environment.ts';
import type { Launcher, LaunchRequest, WorkerProcess } from '../../src/launch/launcher.ts';
import { LocalLauncher } from '../../src/launch/local.ts';
import { findPython } from '../../src/launch/python.ts';
import { WorkerPool } from '../../src/workers/pool.ts';
import { Worker } from '../../src/workers/worker.ts';

const FIXTURES = fileURLToPath(new URL('../fixtures', import.meta.url));
/** A worker must run the package beside these tests, not one that happens to be installed. */

// Every worker is a Python process, and the machine may be busy.
vi.setConfig({ testTimeout: 60_000 });

export const quiet = pino({ level: 'silent' });

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'rrr-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

type Sections = { [Key in keyof Config]?: Config[Key] extends object ? Partial<Config[Key]> : Config[Key] };

export function makeConfig(sections: Sections = {}): Config {
  const written = configSchema.parse({
    model: { name: '/nowhere' },
    data: { source: 'generator', rows: 100 },
    ...sections,
    workers: { stop_grace_s: 2, ready_timeout_s: 30, call_timeout_s: 30, ...sections.workers },
  });
  const data = { ...written.data, train_fraction: 0.9 };
  return { ...written, data };
}

/** Launches the fake, a single process, for any module, and remembers what it was asked and what it launched. */
export class FakeLauncher implements Launcher {
  readonly launched: WorkerProcess[] = [];
  readonly requests: LaunchRequest[] = [];
  readonly #local: Launcher;

  constructor(env: NodeJS.ProcessEnv = {}, logs = temporaryFolder()) {
    const path = [FIXTURES, WORKERS].join(delimiter);
    this.#local = new LocalLauncher({ python: findPython({}), logs, env: { PYTHONPATH: path, ...env } });
    // Whatever a test does, none of its processes outlives it.
    onTestFinished(() => {
      for (const process of this.launched) process.signal('SIGKILL');
    });
  }

  launch(request: LaunchRequest): WorkerProcess {
    this.requests.push(request);
    const launched = this.#local.launch({ ...request, module: 'fake_worker', ranks: undefined });
    this.launched.push(launched);
    return launched;
  }
}

export function makeWorker(launcher: Launcher, { config = makeConfig(), index = 0 } = {}): Worker {
  const readyTimeoutS = config.workers.ready_timeout_s;
  const options = { model: '/nowhere', index };
  const spec = { name: `fake-${index}`, module: '', config, options, readyTimeoutS };
  return new Worker(spec, { launcher, log: quiet });
}

export function makePool(
  launcher: Launcher,
  options: Partial<ConstructorParameters<typeof WorkerPool>[0]> = {},
): WorkerPool {
  return new WorkerPool({
    count: 2,
    maxInFlight: 4,
    maxRestarts: 3,
    callTimeoutS: 30,
    stopGraceS: 2,
    launch: (index) => makeWorker(launcher, { index }),
    log: quiet,
    ...options,
  });
}

/** Processes of the group that still run; the dead that nobody has waited for don't count. */
export function livingMembers(group: number): number[] {
  return readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry) || !existsSync(`/proc/${entry}/stat`)) return [];
    const stat = readStat(entry);
    return stat && stat.state !== 'Z' && stat.group === group ? [Number(entry)] : [];
  });
}

function readStat(pid: string): { state: string; group: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state, , group] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state: state as string, group: Number(group) };
  } catch {
    return undefined;
  }
}

/** Waits until none of the groups has a living member. */
export async function expectGone(processes: readonly { pid: number | undefined }[], withinMs = 3000) {
  const until = Date.now() + withinMs;
  for (const { pid } of processes) {
    while (livingMembers(pid as number).length > 0) {
      if (Date.now() > until)
        throw new Error(`process group ${pid} still has ${livingMembers(pid as number)}`);
      await sleep(20);
    }
  }
}
