import { findBenchmarkFiles } from '../../config/benchmarks.ts';
import type { Config } from '../../config/schema.ts';
import type { Forgetting } from '../../report/report.ts';
import { fileIdentity, modelIdentity } from '../../run/identity.ts';
import { decideTraining } from '../decides.ts';
import type { Stage } from '../stage.ts';

export const benchmarks: Stage<Forgetting[]> = {
  name: 'benchmarks',
  command: 'benchmarks',
  description: 'general benchmarks before and after training: what the model forgot',
  unit: 'benchmarks',
  // A model that another run trained needs no training here.
  needs: ({ eval: { model } }) => (model === undefined ? ['train'] : []),
  packages: () => ['vllm', 'lm_eval'],
  decides: (config) => {
    const { model } = config.eval;
    return {
      ...decideTraining(config),
      eval: { model: model && modelIdentity(model) },
      benchmarks: { ...config.benchmarks, path: identifyFiles(config.benchmarks) },
    };
  },
  hub: () => ['models', 'benchmarks'],
  load: () => import('./work.ts'),
};

function identifyFiles({ path, tasks }: Config['benchmarks']) {
  if (path === undefined) return undefined;
  const files = tasks.map((task) => [task, findBenchmarkFiles(path, task).map(fileIdentity)]);
  return files.some(([, found]) => found?.length) ? Object.fromEntries(files) : path;
}
