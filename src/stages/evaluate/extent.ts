/** How much is evaluated: the part of a config that may grow after an evaluation is finished. */
import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../../config/schema.ts';

type Evaluation = Config['eval'];

/** What is to do when a finished evaluation is asked for again; null where it has all that is wanted. */
export function widen(done: Config, now: Config): Config | null {
  const wanted = union(done.eval, now.eval);
  return isDeepStrictEqual(extent(wanted), extent(done.eval)) ? null : { ...now, eval: wanted };
}

/** Nothing that is in the journal leaves the report. */
function union(done: Evaluation, now: Evaluation): Evaluation {
  const baselines = now.baselines.filter(({ name }) => !done.baselines.some((each) => each.name === name));
  return {
    ...now,
    samples: Math.max(done.samples, now.samples),
    controls: [...new Set([...done.controls, ...now.controls])],
    baselines: [...done.baselines, ...baselines],
  };
}

const extent = ({ samples, controls, baselines }: Evaluation) => ({
  samples,
  controls,
  baselines: baselines.map(({ name }) => name),
});
