/** Where the processes of a config start. */
import type { Config } from '../config/schema.ts';
import { readAllocation } from './allocation.ts';
import type { Launcher } from './launcher.ts';
import { LocalLauncher } from './local.ts';
import { findPython } from './python.ts';
import { SlurmLauncher } from './slurm.ts';

/** This machine, with the Python that the config names. Throws UserError where there is none. */
export function localLauncher(config: Config, logs: string): LocalLauncher {
  return new LocalLauncher({ python: findPython(config), logs });
}

/** What the config's `launch` says. Throws UserError where that can't be: outside of a Slurm job, or in too small a one. */
export async function launcherFor(config: Config, logs: string): Promise<Launcher> {
  const local = localLauncher(config, logs);
  const { kind, slurm } = config.launch;
  if (kind === 'local') return local;
  const options = { python: findPython(config), logs, srun: slurm.srun, gpusPerNode: slurm.gpus_per_node };
  return new SlurmLauncher(local, await readAllocation(slurm), options);
}
