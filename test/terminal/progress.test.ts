import { Writable } from 'node:stream';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ProgressRenderer } from '../../src/terminal/progress.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function capture(terminal: boolean) {
  let text = '';
  const stream = new Writable({
    write(chunk, _encoding, done) {
      text += chunk;
      done();
    },
  });
  Object.assign(stream, terminal && { isTTY: true, columns: 60 });
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
    'sampling: 39/100  39 %  3.8/s  ETA 16.1 s  failures 19.5',
    'sampling: 59/100  59 %  3.9/s  ETA 10.5 s  failures 29.5',
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
