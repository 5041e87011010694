import type { Config } from '../../config/schema.ts';
import type { TrainSummary } from '../../run/records.ts';
import { decideFailures } from '../failures/stage.ts';
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

export function decideTraining(config: Config) {
  const {
    devices,
    checkpoint_every,
    keep_checkpoints,
    max_restarts,
    step_timeout_s,
    gpu_memory_utilization,
    ...train
  } = config.train;
  return { ...decideFailures(config), train };
}
