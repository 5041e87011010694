/** What reaches the disk, and in which order. Calls of node:fs are recorded and really made; the disk can be full or bad. */
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { replaceFile, replaceJson, replaceLines } from '../../src/run/files.ts';
import { Journal, readLines } from '../../src/run/journal.ts';
import { runPaths } from '../../src/run/paths.ts';
import { WorkerEvents } from '../../src/run/worker-events.ts';
import { quiet, temporaryFolder } from '../workers/harness.ts';

const disk = vi.hoisted(() => ({
  calls: [] as string[],
  /** Bytes that writeSync still has room for. */
  room: Number.POSITIVE_INFINITY,
  syncs: true,
}));
const failure = (code: string, errno: number) => Object.assign(new Error(code), { code, errno });

vi.mock('node:fs', async (importOriginal) => {
  const fs = await importOriginal<typeof import('node:fs')>();
  const record = (call: string, file: number | string) => {
    const path = typeof file === 'string' ? file : fs.readlinkSync(`/proc/self/fd/${file}`);
    disk.calls.push(`${call} ${path.split('/').at(-1)}`);
  };
  const trySync = (file: number) => {
    record('sync', file);
    if (!disk.syncs) throw failure('EIO', -5);
  };
  return {
    ...fs,
    writeFileSync: (file: number | string, text: string) => {
      record('write', file);
      fs.writeFileSync(file, text);
    },
    writeSync: (file: number, bytes: Buffer, from: number) => {
      const length = Math.min(bytes.length - from, disk.room);
      if (length === 0) throw failure('ENOSPC', -28);
      disk.room -= length;
      return fs.writeSync(file, bytes, from, length);
    },
    fsyncSync: (file: number) => {
      trySync(file);
      fs.fsyncSync(file);
    },
    fsync: (file: number, done: (error: Error | null) => void) => {
      try {
        trySync(file);
        fs.fsync(file, done);
      } catch (error) {
        done(error as Error);
      }
    },
    renameSync: (from: string, to: string) => {
      record('rename', to);
      fs.renameSync(from, to);
    },
  };
});

vi.mock('node:fs/promises', async (importOriginal) => {
  const fs = await importOriginal<typeof import('node:fs/promises')>();
  const open: typeof fs.open = async (path, flags) => {
    const file = await fs.open(path, flags);
    for (const [method, call] of [
      ['writeFile', 'write'],
      ['sync', 'sync'],
    ] as const) {
      const real = file[method].bind(file) as (...args: unknown[]) => Promise<void>;
      file[method] = (...args: unknown[]) => {
        disk.calls.push(`${call} ${String(path).split('/').at(-1)}`);
        return real(...args);
      };
    }
    return file;
  };
  return { ...fs, open };
});

beforeEach(() => {
  Object.assign(disk, { calls: [], room: Number.POSITIVE_INFINITY, syncs: true });
});

async function* rows(...values: unknown[]) {
  yield* values;
}

async function readAll(path: string): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const line of readLines(path)) all.push(line);
  return all;
}

test.each([
  ['replaceFile', (path: string) => replaceFile(path, 'text')],
  ['replaceJson', (path: string) => replaceJson(path, {})],
  ['replaceLines', (path: string) => replaceLines(path, rows(1, 2))],
])('%s syncs the file before it is renamed, and its folder after', async (_name, replace) => {
  const folder = temporaryFolder();
  await replace(join(folder, 'a'));
  expect(disk.calls).toEqual(['write a.partial', 'sync a.partial', 'rename a', `sync ${basename(folder)}`]);
});

test('a file that can not be synced replaces nothing', () => {
  const path = join(temporaryFolder(), 'a');
  replaceFile(path, 'old');
  disk.syncs = false;
  expect(() => replaceFile(path, 'new')).toThrow(
    expect.objectContaining({ code: 'EIO', path: `${path}.partial` }),
  );
  expect(readFileSync(path, 'utf8')).toBe('old');
});

/** A journal in a folder of its own, and in fake time. */
async function openJournal() {
  vi.useFakeTimers({ toFake: ['Date'], now: 0 });
  onTestFinished(() => void vi.useRealTimers());
  const path = join(temporaryFolder(), 'journal.jsonl');
  return { path, journal: await Journal.open(path) };
}

test('a journal is synced once a second of appending, and when it is closed', async () => {
  const { journal } = await openJournal();
  const syncedAt: number[] = [];
  for (let now = 0; now < 2500; now += 250) {
    vi.setSystemTime(now);
    journal.append({ now });
    if (disk.calls.splice(0).length > 0) syncedAt.push(now);
  }
  expect(syncedAt).toEqual([1000, 2000]);
  journal.close();
  expect(disk.calls).toEqual(['sync journal.jsonl']);
});

test('a sync that failed in the background is told by the next append, one on close at once', async () => {
  const { journal, path } = await openJournal();
  disk.syncs = false;
  vi.setSystemTime(1000);
  journal.append({});
  const error = expect.objectContaining({ code: 'EIO', path });
  expect(() => journal.append({})).toThrow(error);
  expect(() => journal.close()).toThrow(error);
});

test('a line that the disk took only a part of is taken back, and the next one is whole', async () => {
  const { journal, path } = await openJournal();
  journal.append({ number: 1 });
  disk.room = 5;
  expect(() => journal.append({ number: 2 })).toThrow(expect.objectContaining({ code: 'ENOSPC', path }));
  disk.room = Number.POSITIVE_INFINITY;
  const place = journal.append({ number: 3 });
  expect(journal.readAt(place)).toEqual({ number: 3 });
  journal.close();
  expect(readFileSync(path, 'utf8')).toBe('{"number":1}\n{"number":3}\n');
  (await Journal.open(path)).close();
  expect(await readAll(path)).toEqual([{ number: 1 }, { number: 3 }]);
});

test('what happens to workers is recorded where there is room, and a bad disk ends nothing', async () => {
  const paths = runPaths(temporaryFolder());
  writeFileSync(paths.workerEvents, '');
  const events = await WorkerEvents.open(paths, quiet);
  events.record('sampler-0', { event: 'started', pid: 1 });
  disk.room = 5;
  events.record('sampler-0', { event: 'ready', info: {} });
  disk.room = Number.POSITIVE_INFINITY;
  events.record('sampler-0', { event: 'exited', how: 'exit code 0' });
  disk.syncs = false;
  events.close();
  expect(await readAll(paths.workerEvents)).toMatchObject([{ event: 'started' }, { event: 'exited' }]);
});
