import type { TrainSummary } from '../../run/records.ts';
import { decideTraining } from '../decides.ts';
import type { Stage } from '../stage.ts';

export const train: Stage<TrainSummary> = {
  name: 'train',
  command: 'train',
  description: 'GRPO on the failures; only the tokens of the reflections are reinforced',
  unit: 'steps',
  needs: () => ['failures'],
  decides: decideTraining,
  load: () => import('./work.ts'),
};
