/** `rrr status RUN`: how a run stands, from another terminal; with --watch until it ends. */
import { setTimeout as sleep } from 'node:timers/promises';
import { JOB_POLL_MS } from '../inspect/job.ts';
import {
  type PhaseStatus,
  type RunStatus,
  readStatus,
  type StageStatus,
  type WorkerStatus,
} from '../inspect/status.ts';
import { duration } from '../report/format.ts';
import { findStage } from '../stages/table.ts';
import { Block } from '../terminal/block.ts';
import { nextLine, showPath } from '../terminal/command-line.ts';
import { type Context, type Outcome, untilUnread } from '../terminal/context.ts';
import { describePhase } from '../terminal/progress.ts';
import { alignColumns } from '../text.ts';
import { resolveUserPath } from '../user-path.ts';
import { describeJob } from './describe-job.ts';

const LOOK_MS = 1000;
/** Looks in a row that find nobody at work: a command of several stages gives the lock back between two of them. */
const LOOKS_AT_END = 3;

export interface StatusOptions {
  watch?: boolean;
  json?: boolean;
}

export async function runStatus(
  context: Context,
  run: string,
  { watch, json }: StatusOptions,
): Promise<Outcome | undefined> {
  const path = resolveUserPath(context.cwd, run);
  if (watch) return watchRun(context, path, json ?? false);
  const status = await readStatus(path);
  return { text: render(status, context), json: status };
}

/** Shows what is new until the run has ended. Ends without an error on Ctrl-C, and when nobody reads any more. */
async function watchRun(context: Context, run: string, json: boolean): Promise<undefined> {
  const { stdout } = context;
  const over = untilUnread(context);
  const block = new Block(stdout);
  let seen = '';
  for (let idle = 0; !over.aborted; ) {
    const status = await readStatus(run);
    idle = status.state === 'running' || status.state === 'waiting' ? 0 : idle + 1;
    const isOver = idle === LOOKS_AT_END;
    const now = JSON.stringify(status);
    const isNews = idle === 0 && now !== seen;
    if (json && (isNews || isOver)) stdout.write(`${now}\n`);
    if (!json && isOver) block.end(render(status, context));
    // On a terminal time goes on without news.
    else if (!json && (isNews || (idle === 0 && stdout.isTTY))) block.show(render(status, context));
    if (isOver) return;
    if (isNews) seen = now;
    const pause = status.job && idle === 0 ? JOB_POLL_MS : LOOK_MS;
    await sleep(pause, undefined, { signal: over }).catch(() => {});
  }
}

function render(status: RunStatus, context: Context): string {
  const { state, phase, stages, workers } = status;
  const lines = alignColumns([
    ['run', `${showPath(status.run, context.cwd)}: ${describeState(status)}`],
    ...(status.job ? describeJob(status.job).map((line, index) => [index === 0 ? 'job' : '', line]) : []),
    ...(phase ? [['', describeNews(phase, state)]] : []),
    ...stages.flatMap((stage) => [
      [stage.stage, describeStage(stage)],
      ...describeKinds(stage).map((line) => ['', line]),
    ]),
    ...workers.map((worker) => [worker.name, describeWorker(worker)]),
  ]);
  if (state === 'failed') lines.push(`why: ${nextLine(context, 'logs')}`);
  return lines.join('\n');
}

function describeState({ state, process }: RunStatus): string {
  if (process) return `running, process ${process.pid} on ${process.host} since ${process.since}`;
  if (state === 'new') return 'no stage of it is begun';
  if (state === 'waiting') return 'its job has not begun to work on it';
  if (state === 'killed') return 'was killed; --resume goes on';
  if (state === 'interrupted') return 'interrupted; --resume goes on';
  return state;
}

function describeNews(phase: PhaseStatus, state: RunStatus['state']): string {
  const updated = Date.parse(phase.updated);
  const ago = `${duration((Date.now() - updated) / 1000)} ago`;
  if (state === 'killed') return `last report: ${phase.name}, ${ago}`;
  return `${describePhase({ ...phase, startedAt: Date.parse(phase.started) }, phase.rate_per_s, updated).join('  ')}  (${ago})`;
}

function describeStage({ stage, status, done, total, seconds, attempts }: StageStatus): string {
  const parts = [`${status}`, `${done}${total === null ? '' : `/${total}`} ${findStage(stage).unit}`];
  if (seconds > 0) parts.push(duration(seconds));
  if (attempts > 1) parts.push(`attempt ${attempts}`);
  return parts.join(', ');
}

function describeKinds({ kinds, kinds_of }: StageStatus): string[] {
  const sorted = Object.entries(kinds).sort(([, a], [, b]) => b - a);
  return sorted.map(([kind, count]) =>
    [kinds_of, kind, count].filter((part) => part !== undefined).join(' '),
  );
}

function describeWorker({ state, restarts, lost }: WorkerStatus): string {
  const parts: string[] = [state];
  if (restarts > 0) parts.push(`${restarts} restart${restarts === 1 ? '' : 's'}`);
  if (lost !== null) parts.push(`last lost: ${lost}`);
  return parts.join(', ');
}
