import type { TrainSummary } from '../../run/records.ts';
import { decideTraining } from '../decides.ts';
import type { Stage } from '../stage.ts';

export const train: Stage<TrainSummary> = {
  name: 'train',
  command: 'train',
  description: 'GRPO on the failures; only the tokens of the reflections are reinforced',
  unit: 'steps',
  flags: [
    [
      '--accept-versions',
      'with --resume: go on under other versions of torch, vLLM, TRL or transformers than the checkpoint was made with',
    ],
  ],
  needs: () => ['failures'],
  packages: () => ['torch', 'trl', 'vllm'],
  gpus: ({ train }) => train.devices ?? 'all',
  decides: decideTraining,
  hub: () => ['models'],
  load: () => import('./work.ts'),
};
