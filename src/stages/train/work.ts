/**
 * Training: one worker does it all, with a process for each GPU; this stage watches it. A step that takes too long is
 * taken for a hang. A crashed trainer is started again from its last checkpoint, from a budget that every new step
 * refills. An error that the trainer reports (a mistake of the user, weights out of sync, a bug) ends the stage: it would
 * only happen again.
 */
import { nodesOf, ranksOf } from '../../config/ranks.ts';
import type { Config } from '../../config/schema.ts';
import { RunError, UserError } from '../../errors.ts';
import { type TrainEvent, type TrainResult, trainEvent, trainResult } from '../../protocol/methods.ts';
import { compact, percent } from '../../report/format.ts';
import { summariseTraining } from '../../report/training.ts';
import { readJson, readRecord, replaceJson } from '../../run/files.ts';
import { readLines } from '../../run/journal.ts';
import { runDate } from '../../run/manifest.ts';
import type { RunPaths } from '../../run/paths.ts';
import { failuresSummary, type TrainSummary, trainSummary } from '../../run/records.ts';
import { rrrCommit, rrrVersion } from '../../run/rrr-version.ts';
import { alignColumns } from '../../text.ts';
import { callOnce } from '../../workers/ask.ts';
import { CallError, toRrrError, WorkerLostError } from '../../workers/errors.ts';
import { writeCards } from '../card.ts';
import type { Counted, PlannedQueries, StageJob, StagePlan, View } from '../stage.ts';
import { TrainEvents } from './events.ts';

export function plan(config: Config, paths: RunPaths, _queries: PlannedQueries): StagePlan {
  const { train } = config;
  const reflections = train.steps * train.batch_size;
  return {
    work: {
      steps: train.steps,
      'reflections at most': reflections,
      'retries at most': reflections * train.retries_per_reflection,
      reward: train.reward,
    },
    processes: [
      {
        role: 'trainer',
        count: 1,
        what: `GRPO ${describeRanks(config)}, each with an engine of its own (${config.engine.enforce_eager ? 'eager' : 'compiled'})`,
      },
    ],
    writes: [paths.trainEvents, paths.trainedModel],
  };
}

export async function run(job: StageJob): Promise<void> {
  const { config, paths, progress } = job;
  if (readRecord(paths.failuresSummary, failuresSummary).kept === 0) {
    throw new UserError('there is nothing to train on: the model failed none of the training queries', {
      cure: 'harder data, or more draws (failures.max_draws), in a run of its own',
    });
  }
  const events = await TrainEvents.open(paths.trainEvents);
  progress.start('training', config.train.steps, events.lastStep);
  try {
    const { step, restarts } = await keepTraining(job, events);
    const { second_try, kl, max_logprob_difference } = summariseTraining(events.steps);
    const rrr = { version: rrrVersion(), commit: rrrCommit() };
    const summary: TrainSummary = { steps: step, restarts, second_try, kl, max_logprob_difference, rrr };
    replaceJson(paths.trainSummary, summary);
    await writeCards(paths, null);
  } finally {
    events.close();
    progress.finish();
  }
}

export async function readSummary(paths: RunPaths): Promise<TrainSummary> {
  return readRecord(paths.trainSummary, trainSummary);
}

export async function count(paths: RunPaths): Promise<Counted> {
  const { train } = readJson(paths.stageConfig('train')) as Config;
  const counted: Counted = { done: 0, total: train.steps, kinds: {} };
  for await (const line of readLines(paths.trainEvents)) {
    const event = trainEvent.parse(line);
    if (event.kind === 'step') counted.done = event.step;
  }
  return counted;
}

export function show(summary: TrainSummary, view: View) {
  const { steps, restarts, second_try, kl, max_logprob_difference } = summary;
  const model = view.path(view.paths.trainedModel);
  const rates = second_try ? `${percent(second_try.before)} % → ${percent(second_try.after)} %` : 'none';
  const lines = [
    ...alignColumns([
      ['steps', `${steps}${restarts > 0 ? `, ${restarts} restarts` : ''}`],
      ['second tries, first and last tenth', rates],
      ['KL to the base model', compact(kl)],
      ['sampler against trainer, largest gap', compact(max_logprob_difference ?? 0)],
    ]),
    `model: ${model}`,
    `next: ${view.next('eval')}`,
  ];
  return { text: lines.join('\n'), json: { ...summary, model } };
}

async function keepTraining(job: StageJob, events: TrainEvents) {
  const { config, progress, signal } = job;
  let restarts = 0;
  for (let inARow = 0, resume = job.resumed; ; resume = true) {
    const { furthest } = events;
    try {
      const { step, stopped, model } = await trainOnce(job, events, resume);
      if (stopped) signal.throwIfAborted();
      if (stopped || model === null) throw new RunError(`the trainer stopped unasked at step ${step}`);
      return { step, restarts };
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof Error) || !mayBeTransient(error)) throw toRrrError(error);
      inARow = events.furthest > furthest ? 1 : inARow + 1;
      if (inARow > config.train.max_restarts) throw toRrrError(error);
      restarts++;
      const line = `${error.message}; starting it again (${inARow} of ${config.train.max_restarts})`;
      job.log.warn(line);
      progress.note(line);
    }
  }
}

function describeRanks(config: Config): string {
  const ranks = ranksOf(config);
  const { sharding, lora } = config.train;
  const nodes = nodesOf(config);
  const steps = nodes === undefined ? '' : ` of one Slurm step on ${nodes} node${nodes === 1 ? '' : 's'}`;
  const of =
    ranks === 'gpus' ? 'on every GPU in sight' : `in ${ranks} process${ranks === 1 ? '' : 'es'}${steps}`;
  return `${of}${sharding === 'none' ? '' : `, ${sharding}`}${lora ? `, LoRA of rank ${lora.rank}` : ''}`;
}

/** A trainer that says why it can't go on will say it again. */
function mayBeTransient(error: Error): boolean {
  if (error instanceof CallError) return error.info.retryable;
  return error instanceof WorkerLostError && error.info === undefined;
}

/** One trainer from its start to its end, or to the step where the job's signal stops it. */
async function trainOnce(job: StageJob, events: TrainEvents, resume: boolean): Promise<TrainResult> {
  const { config, paths, progress, signal } = job;
  const { step_timeout_s, steps, devices } = config.train;
  const { ready_timeout_s, stop_grace_s } = config.workers;
  const spec = {
    name: 'trainer',
    module: 'rrr_workers.roles.trainer',
    devices: devices?.join(','),
    ranks: ranksOf(config),
    nodes: nodesOf(config),
    config,
    options: { date: runDate(paths) },
    readyTimeoutS: ready_timeout_s,
  };
  const params = {
    failures: paths.failures,
    output: paths.stage('train'),
    resume,
    last_step: events.lastStep,
    accept_versions: job.options.acceptVersions === true,
  };
  const onEvent = (value: unknown) => {
    const event = trainEvent.parse(value);
    events.add(event);
    if (event.kind === 'step') progress.update({ done: event.step, total: steps, counters: showStep(event) });
    if (event.kind === 'left_out')
      progress.note(`${event.failures} failures are left out: too long for model.max_model_len`);
    if (event.kind === 'resumed') progress.note(`training goes on from step ${event.step}`);
    if (event.kind === 'adapter')
      progress.note(
        `LoRA: ${event.modules} modules, ${percent(event.trained / event.all)} % of ${event.all} parameters are trained`,
      );
    if (event.kind === 'merged')
      progress.note(`LoRA: merging has moved the base's weights by ${event.drift.toExponential(1)} (rms)`);
  };
  const call = { method: 'train', params, timeoutS: step_timeout_s, onEvent };
  // A trainer that is asked to stop finishes its step and writes a checkpoint first.
  const end = { signal, finishS: step_timeout_s, stopS: stop_grace_s };
  return trainResult.parse(await callOnce(spec, call, end, job));
}

function showStep(event: Extract<TrainEvent, { kind: 'step' }>): Record<string, number | string> {
  return {
    'second try': `${(100 * event.second_try).toFixed(1)} %`,
    kl: event.kl.toPrecision(2),
    tokens: event.reflection_tokens.toFixed(0),
    'log-prob gap': event.logprob_difference.toExponential(1),
    'tokens/s': event.tokens_per_second.toFixed(0),
  };
}
