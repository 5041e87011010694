/** The cluster: is there a Slurm, and has it the partition? */
import { execa } from 'execa';
import { PROGRAM_TIMEOUT_MS } from '../../setup/machine.ts';
import { error, type Finding, type Subject, warning } from './finding.ts';

export async function checkSlurm({ config, env }: Subject): Promise<Finding[]> {
  if (config?.launch.kind !== 'slurm') return [];
  const options = { env, reject: false, timeout: PROGRAM_TIMEOUT_MS } as const;
  const { failed, code, stdout, stderr } = await execa('sinfo', ['-h', '-o', '%P'], options);
  if (code === 'ENOENT') {
    const cure = 'run it where Slurm is, or set launch.kind: local';
    return [error('no_slurm', 'launch.kind is slurm, and there is no sinfo here', cure)];
  }
  if (failed) {
    const why = stderr.split('\n')[0];
    return [warning('slurm_not_asked', `sinfo fails: ${why}`, "look at Slurm's controller: scontrol ping")];
  }
  const { partition } = config.launch.slurm;
  // The default one is marked by a star.
  const partitions = stdout
    .split('\n')
    .map((line) => line.trim().replace(/\*$/, ''))
    .filter(Boolean);
  const unknown = partition?.split(',').filter((name) => !partitions.includes(name)) ?? [];
  if (unknown.length === 0) return [];
  const found = `launch.slurm.partition: Slurm has no partition ${unknown.join(', ')}`;
  return [error('bad_partition', found, `use one of: ${partitions.join(', ')}`)];
}
