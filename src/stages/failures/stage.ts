import type { Config } from '../../config/schema.ts';
import type { FailuresSummary } from '../../run/records.ts';
import type { Stage } from '../stage.ts';

export const failures: Stage<FailuresSummary> = {
  name: 'failures',
  command: 'build-failures',
  description: 'sample the task, keep what the verifier rejects: the data set of failures',
  unit: 'queries',
  needs: () => [],
  decides: decideFailures,
  load: () => import('./work.ts'),
};

/** What decides the failures decides all that is made of them. */
export function decideFailures({ seed, model, task, data, sampling, failures, engine }: Config) {
  // Rows that stop one run are skipped by the other: what is kept is the same.
  const { on_bad_row, ...rows } = data;
  return { seed, model, task, data: rows, sampling, failures, engine: { name: engine.name } };
}
