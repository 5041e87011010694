/** Another rrr that is quicker: it acts just before one of our links is made. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test, vi } from 'vitest';
import { beginAttempt } from '../../src/run/attempt.ts';
import { lockRun } from '../../src/run/lock.ts';
import { updateManifest } from '../../src/run/manifest.ts';
import { runPaths } from '../../src/run/paths.ts';
import type { StageRecord } from '../../src/run/records.ts';
import { failures } from '../../src/stages/failures/stage.ts';
import { makeConfig, temporaryFolder } from '../workers/harness.ts';

const rival = vi.hoisted(() => ({ act: (_link: string) => {} }));

vi.mock('node:fs', async (importOriginal) => {
  const fs = await importOriginal<typeof import('node:fs')>();
  const linkSync: typeof fs.linkSync = (from, to) => {
    rival.act(String(to));
    fs.linkSync(from, to);
  };
  return { ...fs, linkSync };
});

beforeEach(() => {
  rival.act = () => {};
});

const holder = (pid: number, started?: string) =>
  JSON.stringify({ pid, started, host: hostname(), since: 'now' });
/** This process's id, given to a process that started at another time. */
const DEAD = holder(process.pid, '1');
const ALIVE = holder(process.ppid);

/** The lock of a dead process. */
function deadLock() {
  const folder = temporaryFolder();
  const path = join(folder, 'lock');
  writeFileSync(path, DEAD);
  return { path, files: () => readdirSync(folder) };
}

test('a lock that another process has just taken over is left to it', () => {
  const { path, files } = deadLock();
  rival.act = (link) => {
    if (link.endsWith('.takeover')) writeFileSync(path, ALIVE);
  };
  expect(() => lockRun(path)).toThrow(`another rrr works on this run: process ${process.ppid}`);
  expect(readFileSync(path, 'utf8')).toBe(ALIVE);
  expect(files()).toEqual(['lock']);
});

test('a lock that has just been taken over and given back is free', () => {
  const { path, files } = deadLock();
  rival.act = (link) => {
    if (link.endsWith('.takeover')) rmSync(path);
  };
  const unlock = lockRun(path);
  expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ pid: process.pid });
  unlock();
  expect(files()).toEqual([]);
});

test('of two processes that take a run over the second is refused', () => {
  const { path, files } = deadLock();
  writeFileSync(`${path}.takeover`, ALIVE);
  expect(() => lockRun(path)).toThrow(
    expect.objectContaining({
      message: 'another rrr is taking this run over from one that died',
      cure: expect.stringContaining(`remove ${path}.takeover`),
    }),
  );
  expect(files()).toEqual(['lock', 'lock.takeover']);
  expect(readFileSync(path, 'utf8')).toBe(DEAD);
});

test('a stage that another process has just finished is not begun again', async () => {
  const request = {
    run: join(temporaryFolder(), 'run'),
    stage: failures,
    config: makeConfig(),
    resume: false,
  };
  const paths = runPaths(request.run);
  const first = beginAttempt(request);
  if (first.finished) throw new Error('it was finished before');
  const work = first.during(() => {
    writeFileSync(paths.failuresJournal, '{}\n');
    return Promise.reject(new Error('stop'));
  });
  await expect(work).rejects.toThrow('stop');
  const finish = () =>
    updateManifest(paths, ({ stages }) => {
      (stages.failures as StageRecord).status = 'finished';
    });
  rival.act = (link) => {
    if (link === paths.lock) finish();
  };
  expect(() => beginAttempt({ ...request, resume: true })).toThrow('has just been finished');
  expect(readdirSync(request.run)).not.toContain('lock');
});
