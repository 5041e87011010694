/** The run's own log: JSON lines for later, next to the workers' raw stderr. */
import { mkdirSync } from 'node:fs';
import { type Logger, pino } from 'pino';
import type { RunPaths } from './paths.ts';

export function openLog({ logs, log }: RunPaths): Logger {
  mkdirSync(logs, { recursive: true });
  // Not "pid": a line about a worker holds the worker's.
  const destination = pino.destination({ dest: log, sync: true });
  // A full disk ends the run where results are written, with cause and cure; never here.
  destination.on('error', () => {});
  return pino({ base: { rrr: process.pid } }, destination);
}
