/** The trainer's processes, as far as the config tells. */
import type { Config } from './schema.ts';

type Asked = Pick<Config, 'train' | 'launch'>;

/** As many as the config says, or one for each GPU: of the Slurm job's, or of those that are in sight. */
export function ranksOf({ train, launch }: Asked): number | 'gpus' {
  const { kind, slurm } = launch;
  const said = train.devices?.length ?? train.processes;
  return said ?? (kind === 'slurm' ? Math.max(1, slurm.nodes * slurm.gpus_per_node) : 'gpus');
}

/**
 * Nodes of the Slurm job that they are on, undefined without one: ranks fill the GPUs of a node before they take another, and
 * are spread where there are none.
 */
export function nodesOf(config: Asked): number | undefined {
  const { kind, slurm } = config.launch;
  if (kind === 'local') return undefined;
  return Math.min(slurm.nodes, Math.ceil(Number(ranksOf(config)) / Math.max(1, slurm.gpus_per_node)));
}
