import { Writable } from 'node:stream';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Pace, remaining } from '../../src/run/progress.ts';
import { ProgressRenderer } from '../../src/terminal/progress.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function capture(terminal: boolean, columns = 60) {
  let text = '';
  const stream = new Writable({
    write(chunk, _encoding, done) {
      text += chunk;
      done();
    },
  });
  Object.assign(stream, terminal && { isTTY: true, columns });
  return { renderer: new ProgressRenderer(stream as NodeJS.WriteStream), text: () => text };
}

test('plain lines: at the start, every few seconds, and at the end', () => {
  const { renderer, text } = capture(false);
  renderer.start('sampling', 100, 20);
  for (let done = 21; done <= 60; done++) {
    vi.advanceTimersByTime(250);
    renderer.update({ done, total: 100, counters: { failures: done / 2 } });
  }
  renderer.note('sampler 1 restarted');
  renderer.finish();
  expect(text().split('\n')).toEqual([
    'sampling: 20/100',
    'sampling: 39/100  ETA 15.3 s  39 %  4.0/s  failures 19.5',
    'sampling: 59/100  ETA 10.3 s  59 %  4.0/s  failures 29.5',
    'sampler 1 restarted',
    'sampling: 60/100 in 10.0 s  failures 30',
    '',
  ]);
});

test('on a terminal one line is redrawn, never wider than the screen, and time goes on without news', () => {
  const { renderer, text } = capture(true);
  renderer.start('loading', null);
  vi.advanceTimersByTime(1000);
  renderer.update({ done: 0, total: null, counters: { model: 'x'.repeat(200) } });
  vi.advanceTimersByTime(200);
  expect(text()).not.toContain('\n');
  const lines = text().split('\x1b[2K').filter(Boolean);
  expect(lines.length).toBeGreaterThan(5);
  for (const line of lines) expect(line.replaceAll('\x1b[1G', '').length).toBeLessThan(60);
  renderer.finish();
  expect(text().endsWith('\n')).toBe(true);
});

test('the ETA follows the rate of late: neither the loading before the first step nor a slow start counts', () => {
  const pace = new Pace(0);
  const eta = (done: number, at: number) => {
    pace.note(done, 1000 * at);
    return remaining({ done, total: 10 }, pace.rate(1000 * at));
  };
  expect([eta(1, 120), eta(2, 220)]).toEqual([null, 800]);
  for (const done of [3, 4, 5, 6, 7, 8]) eta(done, 220 + 10 * (done - 2));
  expect(eta(9, 290)).toBe(10);
});

test('a step that is late makes the ETA longer, and steps that are made again start it anew', () => {
  const pace = new Pace(0);
  for (const done of [1, 2, 3]) pace.note(done, 10_000 * done);
  expect([pace.rate(40_000), pace.rate(50_000)]).toEqual([0.1, 2 / 30]);
  pace.note(2, 60_000);
  expect(pace.rate(60_000)).toBe(null);
});

test('on a narrow terminal the count and the ETA stay', () => {
  const { renderer, text } = capture(true, 40);
  renderer.start('sampling first tries of the base model', 20_000);
  for (let done = 1; done <= 3; done++) {
    vi.advanceTimersByTime(1000);
    renderer.update({ done, total: 20_000, counters: { failures: 12 } });
  }
  vi.advanceTimersByTime(200);
  const last = text().split('\x1b[2K').at(-1)?.replaceAll('\x1b[1G', '');
  expect(last).toMatch(/: 3\/20000 {2}ETA 5 h 33 min$/);
  expect(last?.length).toBeLessThan(40);
});
