import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Progress } from '../../src/run/progress.ts';
import { RecordedProgress } from '../../src/run/recorded-progress.ts';
import { readStatusFile } from '../../src/run/status-file.ts';
import { temporaryFolder } from '../workers/harness.ts';

beforeEach(() => void vi.useFakeTimers({ now: 0 }));
afterEach(() => void vi.useRealTimers());

function record() {
  const told: unknown[][] = [];
  const tell =
    (what: string) =>
    (...values: unknown[]) =>
      void told.push([what, ...values]);
  const inner = Object.fromEntries(
    ['start', 'update', 'note', 'finish'].map((what) => [what, tell(what)]),
  ) as unknown as Progress;
  const path = join(temporaryFolder(), 'status.json');
  return { path, told, progress: new RecordedProgress(inner, path) };
}

test('all that is told goes on to the person', () => {
  const { progress, told } = record();
  progress.start('sampling', 100, 20);
  progress.update({ done: 30, total: 100 });
  progress.note('a worker was lost');
  progress.finish();
  expect(told).toEqual([
    ['start', 'sampling', 100, 20],
    ['update', { done: 30, total: 100 }],
    ['note', 'a worker was lost'],
    ['finish'],
  ]);
});

test('the status says when the phase began, when it last had news, and what was done before', () => {
  const { progress, path } = record();
  progress.start('sampling', 100, 20);
  vi.advanceTimersByTime(5000);
  progress.update({ done: 30, total: 100, counters: { kept: 3 } });
  vi.advanceTimersByTime(5000);
  expect(readStatusFile(path)).toEqual({
    pid: process.pid,
    phase: 'sampling',
    done: 30,
    total: 100,
    before: 20,
    counters: { kept: 3 },
    started: '1970-01-01T00:00:00.000Z',
    updated: '1970-01-01T00:00:05.000Z',
    rate_per_s: null,
  });
});

test("when the phase is over, and the lock may be another process's, nothing is written any more", () => {
  const { progress, path } = record();
  progress.start('sampling', 100);
  progress.update({ done: 30, total: 100 });
  vi.advanceTimersByTime(1000);
  rmSync(path);
  progress.finish();
  progress.update({ done: 40, total: 100 });
  vi.advanceTimersByTime(5000);
  progress.finish();
  expect(existsSync(path)).toBe(false);
});
