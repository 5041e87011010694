import type { Report } from '../../report/report.ts';
import { modelIdentity } from '../../run/identity.ts';
import { decideTraining } from '../decides.ts';
import type { Stage } from '../stage.ts';

export const evaluate: Stage<Report> = {
  name: 'eval',
  command: 'eval',
  description: 'first try, reflection and second try on held-out data, before and after training; the report',
  unit: 'episodes',
  // A model that another run trained needs no training here.
  needs: ({ eval: { model } }) => (model === undefined ? ['train'] : []),
  decides: (config) => {
    const { model, modes } = config.eval;
    return { ...decideTraining(config), eval: { model: model && modelIdentity(model), modes } };
  },
  load: () => import('./work.ts'),
};
