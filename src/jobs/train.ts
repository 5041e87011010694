/**
 * Training: one Python process does it all; this job watches it. A step that takes too long is taken for a hang. A
 * crashed trainer is started again from its last checkpoint, from a budget that every new step refills. An error that
 * the trainer reports (a mistake of the user, weights out of sync, a bug) ends the job: it would only happen again.
 */
import { z } from 'zod';
import { RunError, UserError } from '../errors.ts';
import type { Launcher } from '../launch/launcher.ts';
import { type TrainEvent, type TrainResult, trainEvent, trainResult } from '../protocol/methods.ts';
import { readJson, replaceJson } from '../run/files.ts';
import { beginStage, requireStage, type Stage } from '../run/stage.ts';
import { TrainEvents } from '../run/train-events.ts';
import { toRrrError, WorkerLostError } from '../workers/errors.ts';
import { Worker } from '../workers/worker.ts';
import { failuresSummary } from './build-failures.ts';
import { type JobOptions, localLauncher } from './job.ts';

export const trainSummary = z.object({
  steps: z.int().nonnegative(),
  /** The trained model's folder. */
  model: z.string(),
  /** Times the trainer was started again after a crash, in the attempt that finished. */
  restarts: z.int().nonnegative(),
});
export type TrainSummary = z.output<typeof trainSummary>;

export async function train(options: JobOptions): Promise<TrainSummary> {
  const { config, run, resume, progress } = options;
  requireStage(run, 'failures', config, 'rrr build-failures');
  const stage = beginStage({ run, stage: 'train', config, resume });
  const { paths } = stage;
  if (stage.finished) return trainSummary.parse(readJson(paths.trainSummary));
  return stage.during(async () => {
    if (failuresSummary.parse(readJson(paths.failuresSummary)).kept === 0) {
      throw new UserError('there is nothing to train on: the model failed none of the training queries', {
        cure: 'harder data, or more draws (failures.max_draws), in a run of its own',
      });
    }
    const launcher = options.launcher ?? localLauncher(config, paths);
    const events = await TrainEvents.open(paths.trainEvents);
    progress.start('training', config.train.steps, events.lastStep);
    try {
      const { step, model, restarts } = await keepTraining(stage, events, launcher, options);
      const summary = { steps: step, model, restarts };
      replaceJson(paths.trainSummary, summary);
      return summary;
    } finally {
      events.close();
      progress.finish();
    }
  });
}

async function keepTraining(stage: Stage, events: TrainEvents, launcher: Launcher, options: JobOptions) {
  const { config, progress, signal } = options;
  let restarts = 0;
  for (let inARow = 0, resume = stage.resumed; ; resume = true) {
    const { furthest } = events;
    try {
      const { step, stopped, model } = await trainOnce(stage, events, launcher, resume, options);
      if (stopped) signal.throwIfAborted();
      if (stopped || model === null) throw new RunError(`the trainer stopped unasked at step ${step}`);
      return { step, model, restarts };
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof WorkerLostError) || error.info?.retryable === false) throw toRrrError(error);
      inARow = events.furthest > furthest ? 1 : inARow + 1;
      if (inARow > config.train.max_restarts) throw error;
      restarts++;
      const line = `${error.message}; starting it again (${inARow} of ${config.train.max_restarts})`;
      stage.log.warn(line);
      progress.note(line);
    }
  }
}

/** One trainer from its start to its end, or to the step where `signal` stops it. */
async function trainOnce(
  { paths, log }: Stage,
  events: TrainEvents,
  launcher: Launcher,
  resume: boolean,
  { config, progress, signal }: JobOptions,
): Promise<TrainResult> {
  const { step_timeout_s, steps } = config.train;
  const { ready_timeout_s, stop_grace_s, devices } = config.workers;
  signal.throwIfAborted();
  const spec = {
    name: 'trainer',
    module: 'rrr_workers.training',
    devices: devices?.[0],
    config,
    options: {},
    readyTimeoutS: ready_timeout_s,
  };
  const worker = new Worker(spec, launcher, log);
  // It finishes its step and writes a checkpoint first.
  const stop = () => void worker.stop(step_timeout_s);
  signal.addEventListener('abort', stop);
  try {
    await worker.ready;
    const params = { failures: paths.failures, output: paths.trainDir, resume };
    const onEvent = (value: unknown) => {
      const event = trainEvent.parse(value);
      events.add(event);
      if (event.kind === 'step')
        progress.update({ done: event.step, total: steps, counters: showStep(event) });
      if (event.kind === 'left_out')
        progress.note(`${event.failures} failures are left out: too long for model.max_model_len`);
      if (event.kind === 'resumed') progress.note(`training goes on from step ${event.step}`);
    };
    return trainResult.parse(await worker.call('train', params, { timeoutS: step_timeout_s, onEvent }));
  } finally {
    signal.removeEventListener('abort', stop);
    await worker.stop(stop_grace_s);
  }
}

function showStep(event: Extract<TrainEvent, { kind: 'step' }>): Record<string, number | string> {
  return {
    reward: event.reward.toFixed(3),
    'second try': `${(100 * event.second_try).toFixed(1)} %`,
    kl: event.kl.toPrecision(2),
    tokens: event.reflection_tokens.toFixed(0),
    'log-prob gap': event.logprob_difference.toExponential(1),
    'tokens/s': event.tokens_per_second.toFixed(0),
  };
}
