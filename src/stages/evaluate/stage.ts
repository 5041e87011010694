import type { Report } from '../../report/report.ts';
import { decideEvaluation } from '../decides.ts';
import type { Stage } from '../stage.ts';
import { widen } from './extent.ts';

export const evaluate: Stage<Report> = {
  name: 'eval',
  command: 'eval',
  description: 'first try, reflection and second try on held-out data, before and after training; the report',
  unit: 'episodes',
  flags: [
    [
      '--power',
      'evaluate nothing: say how many queries an effect needs, and what the queries of this run can find',
    ],
  ],
  // A model that another run trained needs no training here.
  needs: ({ eval: { model } }) => (model === undefined ? ['train'] : []),
  packages: () => ['vllm'],
  decides: decideEvaluation,
  widen,
  hub: () => ['models', 'data'],
  load: () => import('./work.ts'),
};
