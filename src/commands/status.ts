/** `rrr status RUN`: how a run stands, from another terminal. */
import { resolve } from 'node:path';
import {
  type PhaseStatus,
  type RunStatus,
  readStatus,
  type StageStatus,
  type WorkerStatus,
} from '../jobs/status.ts';
import { duration } from '../report/format.ts';
import type { Context, Outcome } from './command.ts';
import { nextLine, showPath } from './command-line.ts';
import { describePhase } from './progress.ts';

const UNITS = { failures: 'queries', train: 'steps', eval: 'episodes' };

export async function runStatus(context: Context, run: string): Promise<Outcome> {
  const status = await readStatus(resolve(context.cwd, run));
  return { text: render(status, context), json: status };
}

function render(status: RunStatus, context: Context): string {
  const { state, phase, stages, workers } = status;
  const rows: [string, string][] = [
    ['run', `${showPath(status.run, context.cwd)}: ${describeState(status)}`],
    ...(phase ? [['', describeNews(phase, state)] as [string, string]] : []),
    ...stages.flatMap((stage): [string, string][] => [
      [stage.stage, describeStage(stage)],
      ...describeKinds(stage).map((line): [string, string] => ['', line]),
    ]),
    ...workers.map((worker): [string, string] => [worker.name, describeWorker(worker)]),
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  const lines = rows.map(([name, text]) => `${name.padEnd(width)}  ${text}`);
  if (state === 'failed') lines.push(`why: ${nextLine(context, 'logs')}`);
  return lines.join('\n');
}

function describeState({ state, process }: RunStatus): string {
  if (process) return `running, process ${process.pid} on ${process.host} since ${process.since}`;
  if (state === 'killed') return 'was killed; --resume goes on';
  if (state === 'interrupted') return 'interrupted; --resume goes on';
  return state;
}

function describeNews(phase: PhaseStatus, state: RunStatus['state']): string {
  const told = Date.parse(phase.updated);
  const ago = `${duration((Date.now() - told) / 1000)} ago`;
  if (state === 'killed') return `last heard of while ${phase.name}, ${ago}`;
  return `${describePhase({ ...phase, startedAt: Date.parse(phase.started) }, told)}  (told ${ago})`;
}

function describeStage({ stage, status, done, total, seconds, attempts }: StageStatus): string {
  const parts = [`${status}`, `${done}${total === null ? '' : `/${total}`} ${UNITS[stage]}`];
  if (seconds > 0) parts.push(duration(seconds));
  if (attempts > 1) parts.push(`attempt ${attempts}`);
  return parts.join(', ');
}

function describeKinds({ stage, kinds }: StageStatus): string[] {
  const what = stage === 'eval' ? 'first tries ' : '';
  const sorted = Object.entries(kinds).sort(([, a], [, b]) => b - a);
  return sorted.map(([kind, count]) => `${what}${kind} ${count}`);
}

function describeWorker({ state, restarts, lost }: WorkerStatus): string {
  const parts: string[] = [state];
  if (restarts > 0) parts.push(`${restarts} restart${restarts === 1 ? '' : 's'}`);
  if (lost !== null) parts.push(`last lost: ${lost}`);
  return parts.join(', ');
}
