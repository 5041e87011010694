/** `rrr fetch`: what a config takes from the hub, into the hub's cache, for runs where there is no network. */
import { localLauncher } from '../launch/from-config.ts';
import { makeDirectory } from '../run/directory.ts';
import { lockRun } from '../run/lock.ts';
import { openLog } from '../run/log.ts';
import { runPaths } from '../run/paths.ts';
import { fetchAll } from '../stages/hub.ts';
import { nextLine } from '../terminal/command-line.ts';
import type { Context, Outcome } from '../terminal/context.ts';
import { ProgressRenderer } from '../terminal/progress.ts';
import { requireConfig } from '../terminal/require-config.ts';
import { alignColumns } from '../text.ts';
import { runDirectory, type StageOptions } from './stage.ts';

/** The run directory keeps the commits: what is run in it takes these. */
export async function runFetch(context: Context, options: StageOptions): Promise<Outcome> {
  const config = requireConfig(context, options);
  const paths = runPaths(runDirectory(context, options));
  const { signal, stderr } = context;
  makeDirectory(paths.run);
  const unlock = lockRun(paths.lock);
  try {
    const [log, launcher] = [openLog(paths), localLauncher(config, paths.logs)];
    const progress = new ProgressRenderer(stderr);
    const repos = await fetchAll({ config, paths, signal, progress, launcher, log });
    const lines = repos.map(({ name, commit, bytes }) => [name, `${commit}`, size(bytes ?? 0)]);
    const text =
      repos.length === 0
        ? 'nothing in this config is on the hub'
        : [...alignColumns(lines), `next: ${nextLine(context, 'run')}`].join('\n');
    return { text, json: { run: paths.run, repos } };
  } finally {
    unlock();
  }
}

function size(bytes: number): string {
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
