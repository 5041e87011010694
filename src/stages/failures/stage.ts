import type { Config } from '../../config/schema.ts';
import { commandIdentity, fileIdentity, modelIdentity, taskIdentity } from '../../run/identity.ts';
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
export function decideFailures(config: Config) {
  const { model, sampling, failures, engine } = config;
  return {
    ...decideData(config),
    model: { ...model, name: modelIdentity(model.name) },
    sampling,
    failures,
    engine: { name: engine.name },
  };
}

/** What the prepared data follows from. */
export function decideData({ seed, task, data }: Config) {
  const { verifier } = task;
  // Rows that stop one run are skipped by the other: what is kept is the same.
  const { on_bad_row, path, ...rows } = data;
  return {
    seed,
    task: {
      ...task,
      name: taskIdentity(task.name),
      verifier: verifier && { ...verifier, command: commandIdentity(verifier.command) },
    },
    data: { ...rows, path: path && fileIdentity(path) },
  };
}
