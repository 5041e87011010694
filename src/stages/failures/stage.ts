import type { FailuresSummary } from '../../run/records.ts';
import { decideFailures } from '../decides.ts';
import type { Stage } from '../stage.ts';

export const failures: Stage<FailuresSummary> = {
  name: 'failures',
  command: 'build-failures',
  description: 'sample the task, keep what the verifier rejects: the data set of failures',
  unit: 'queries',
  needs: () => [],
  packages: ({ engine }) => (engine.name === 'vllm' ? ['vllm'] : []),
  decides: decideFailures,
  hub: ({ engine }) => (engine.name === 'vllm' ? ['models', 'data'] : ['data']),
  load: () => import('./work.ts'),
};
