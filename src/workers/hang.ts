/** Where a worker hangs: asked for by a signal at which it writes the stacks of its threads to its log (runtime/serve.py). */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkerProcess } from '../launch/launcher.ts';

/** Through srun it takes longer than here. */
const WRITE_MS = 1000;
const FRAME = /^ {2}File "(.*)", line (\d+) in (.*)$/;
const OWN = /\/rrr_workers\//;
const LIBRARY = /\/site-packages\/|\/lib\/python3[.\d]*\/|^</;

/** Such as "judge, at /home/me/near.py:31": the code of a user's task that is at work. Undefined where none is. */
export async function whereItHangs(worker: WorkerProcess): Promise<string | undefined> {
  const { stderrPath: log } = worker;
  if (!existsSync(log)) return undefined;
  const before = statSync(log).size;
  worker.signal('SIGUSR1');
  await sleep(WRITE_MS);
  return usersCode(readFileSync(log).subarray(before).toString('utf8'));
}

/** Of stacks as Python's faulthandler writes them, innermost frame first: what of the user's code rrr has called. */
export function usersCode(stacks: string): string | undefined {
  let above: RegExpExecArray | null = null;
  let found: string | undefined;
  for (const line of stacks.split('\n')) {
    const frame = FRAME.exec(line);
    const [, file = '', at, name] = above ?? [];
    if (frame && above && OWN.test(frame[1] ?? '') && !OWN.test(file) && !LIBRARY.test(file))
      found = `${name}, at ${file}:${at}`;
    above = frame;
    if (!frame && found !== undefined) return found;
  }
  return found;
}
