import { expect, test } from 'vitest';
import { usersCode } from '../../src/workers/hang.ts';

const frame = (file: string, line: number, name: string) => `  File "${file}", line ${line} in ${name}`;
const STDLIB = '/usr/lib/python3.12';
const RRR = '/opt/rrr/workers/rrr_workers';
const stacks = (...threads: string[][]) =>
  threads.map((frames) => ['Thread 0x7f (most recent call first):', ...frames, ''].join('\n')).join('\n');

const WAITING = [
  frame(`${STDLIB}/selectors.py`, 468, 'select'),
  frame(`${STDLIB}/asyncio/base_events.py`, 645, 'run_forever'),
  frame(`${RRR}/runtime/serve.py`, 65, 'serve'),
  frame('<frozen runpy>', 88, '_run_code'),
];

test.each([
  [
    'judge, at /home/me/near.py:31',
    [
      frame(`${STDLIB}/re/__init__.py`, 167, 'match'),
      frame('/home/me/words.py', 3, 'looks_right'),
      frame('/home/me/near.py', 31, 'judge'),
      frame(`${RRR}/tasks/loaded.py`, 60, 'judge'),
      frame(`${STDLIB}/threading.py`, 1012, 'run'),
    ],
  ],
  [
    'judge, at /home/me/near.py:7',
    [
      frame(`${RRR}/tasks/countdown/task.py`, 90, 'judge'),
      frame('/home/me/near.py', 7, 'judge'),
      frame(`${RRR}/tasks/loaded.py`, 60, 'judge'),
    ],
  ],
  [
    undefined,
    [
      frame('/x/site-packages/torch/nn/linear.py', 9, 'forward'),
      frame(`${RRR}/training/run.py`, 80, 'train'),
    ],
  ],
  [
    undefined,
    [frame(`${STDLIB}/queue.py`, 171, 'get'), frame(`${RRR}/tasks/command_verifier.py`, 60, 'judge')],
  ],
])('what of a task is at work: %s', (code, thread) => {
  expect(usersCode(stacks(WAITING, thread))).toBe(code);
  expect(usersCode(stacks(thread, WAITING))).toBe(code);
});
