/** The cluster: is there a Slurm, and has it the partition? */
import { RunError, UserError } from '../../errors.ts';
import { checkPartitions } from '../../jobs/slurm.ts';
import { error, type Finding, type Subject, warning } from './finding.ts';

export async function checkSlurm({ config }: Subject): Promise<Finding[]> {
  if (config?.launch.kind !== 'slurm') return [];
  try {
    const { known, unknown } = await checkPartitions(config.launch.slurm.partition);
    if (unknown.length === 0) return [];
    const found = `launch.slurm.partition: Slurm has no partition ${unknown.join(', ')}`;
    return [error('bad_partition', found, `use one of: ${known.join(', ')}`)];
  } catch (cause) {
    if (cause instanceof UserError) {
      const cure = 'run it where Slurm is, or set launch.kind: local';
      return [error('no_slurm', 'launch.kind is slurm, and there is no sinfo here', cure)];
    }
    if (!(cause instanceof RunError)) throw cause;
    const cure = "look at Slurm's controller: scontrol ping";
    return [warning('slurm_not_asked', cause.message.replace(/^sinfo/, 'sinfo fails'), cure)];
  }
}
