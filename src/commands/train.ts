/** `rrr train`: reflections reinforced. */
import { train } from '../jobs/train.ts';
import { trainEvent } from '../protocol/methods.ts';
import { aggregateTraining } from '../report/aggregate.ts';
import { compact, percent } from '../report/format.ts';
import { readLines } from '../run/journal.ts';
import { runPaths } from '../run/paths.ts';
import type { Context, Outcome, RunOptions } from './command.ts';
import { nextLine, showPath } from './command-line.ts';
import { runStage } from './run-stage.ts';

export function runTrain(context: Context, options: RunOptions): Promise<Outcome> {
  return runStage('train', context, options, async (job) => {
    const { steps, restarts } = await train(job);
    const paths = runPaths(job.run);
    const events = [];
    for await (const line of readLines(paths.trainEvents)) events.push(trainEvent.parse(line));
    const { steps: curve, second_try, max_logprob_difference } = aggregateTraining(events);
    const kl = curve.at(-1)?.kl ?? 0;
    const model = showPath(paths.trainedModel, context.cwd);
    const rates = second_try ? `${percent(second_try.before)} % → ${percent(second_try.after)} %` : 'none';
    const text = [
      `steps                                ${steps}${restarts > 0 ? `, ${restarts} restarts` : ''}`,
      `second tries, first and last tenth   ${rates}`,
      `KL to the base model                 ${compact(kl)}`,
      `sampler against trainer, largest gap ${compact(max_logprob_difference ?? 0)}`,
      `model: ${model}`,
      `next: ${nextLine(context, 'eval')}`,
    ].join('\n');
    return { text, json: { steps, restarts, second_try, kl, max_logprob_difference, model } };
  });
}
