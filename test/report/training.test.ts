import { expect, test } from 'vitest';
import type { TrainEvent } from '../../src/protocol/methods.ts';
import type { TrainStep } from '../../src/report/report.ts';
import { aggregateTraining, summariseTraining } from '../../src/report/training.ts';
import { step } from './fixture.ts';

const steps = (...rates: number[]) => rates.map((rate, index) => step(index + 1, rate) as TrainStep);

test('of steps that were told twice the last telling counts, in the order of the steps', () => {
  const events: TrainEvent[] = [
    { kind: 'self_check', inside: 0.5, outside: 0 },
    ...steps(0.1, 0.2, 0.3),
    { kind: 'resumed', step: 1, path: 'c' },
    { kind: 'self_check', inside: 0.7, outside: 0.1 },
    step(3, 0.8),
    step(2, 0.9),
  ];
  expect(aggregateTraining(events)).toMatchObject({
    steps: steps(0.1, 0.9, 0.8),
    second_try: { before: 0.1, after: 0.8 },
    self_check: { inside: 0.7, outside: 0.1 },
    resumed: 1,
  });
});

test('the first and the last tenth of the steps are compared, a started tenth counted as one', () => {
  const rates = Array.from({ length: 21 }, (_, index) => index);
  expect(summariseTraining(steps(...rates)).second_try).toEqual({ before: 1, after: 19 });
  expect(summariseTraining(steps(...rates.slice(0, 20))).second_try).toEqual({ before: 0.5, after: 18.5 });
  expect(summariseTraining(steps(0.3)).second_try).toEqual({ before: 0.3, after: 0.3 });
});

test('the KL is that of the last step, the gap the largest of all', () => {
  const [first, second] = steps(0, 0) as [TrainStep, TrainStep];
  const told = [
    { ...first, kl: 9, logprob_difference: 0.5 },
    { ...second, kl: 2 },
  ];
  expect(summariseTraining(told)).toMatchObject({ kl: 2, max_logprob_difference: 0.5 });
});

test('without a step there is nothing to say', () => {
  expect(aggregateTraining([])).toEqual({
    steps: [],
    second_try: null,
    kl: 0,
    max_logprob_difference: null,
    self_check: null,
    resumed: 0,
  });
});
