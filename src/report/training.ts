/** The events of training in a few numbers. */
import type { TrainEvent } from '../protocol/methods.ts';
import type { TrainingReport, TrainStep } from './report.ts';
import { mean } from './statistics.ts';

export function aggregateTraining(events: readonly TrainEvent[]): TrainingReport {
  // A resumed trainer repeats the steps after its last checkpoint: the last event of a step is the one that counts.
  const byStep = new Map<number, TrainStep>();
  for (const event of events) if (event.kind === 'step') byStep.set(event.step, event);
  const steps = [...byStep.values()].sort((a, b) => a.step - b.step);
  const check = events.findLast((event) => event.kind === 'self_check');
  return {
    steps,
    ...summariseTraining(steps),
    self_check: check ? { inside: check.inside, outside: check.outside } : null,
    resumed: events.filter((event) => event.kind === 'resumed').length,
  };
}

/** `steps` are in order. */
export function summariseTraining(
  steps: readonly TrainStep[],
): Pick<TrainingReport, 'second_try' | 'kl' | 'max_logprob_difference'> {
  const rates = steps.map(({ second_try }) => second_try);
  const tenth = Math.ceil(rates.length / 10);
  return {
    second_try:
      rates.length === 0 ? null : { before: mean(rates.slice(0, tenth)), after: mean(rates.slice(-tenth)) },
    kl: steps.at(-1)?.kl ?? 0,
    max_logprob_difference:
      steps.length === 0 ? null : Math.max(...steps.map((step) => step.logprob_difference)),
  };
}
