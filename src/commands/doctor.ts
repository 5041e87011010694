/** `rrr doctor`: what is wrong, and what to do about it. */
import { examine } from '../inspect/doctor/doctor.ts';
import type { Context, Outcome } from '../terminal/context.ts';
import { resolveUserPath } from '../user-path.ts';
import { runDirectory } from './stage.ts';

export interface DoctorOptions {
  config?: string;
  set?: string[];
  run?: string;
}

/** Exit code 2 when an error is found. */
export async function runDoctor(
  context: Context,
  { config, set = [], run }: DoctorOptions,
): Promise<Outcome> {
  const { cwd } = context;
  const diagnosis = await examine({
    config: config === undefined ? undefined : { file: config, sets: set, cwd },
    run:
      config === undefined
        ? resolveUserPath(cwd, run ?? 'runs')
        : runDirectory(context, { config, ...(run && { run }) }),
    env: process.env,
  });
  const { ok, findings } = diagnosis;
  const lines = findings.flatMap(({ id, level, found, cure }) => [
    `${level}: ${found} [${id}]`,
    `  cure: ${cure}`,
  ]);
  const errors = findings.filter(({ level }) => level === 'error').length;
  const end = ok ? 'no error found' : `${errors} error${errors === 1 ? '' : 's'} found`;
  return { text: [...lines, end].join('\n'), json: diagnosis, exitCode: ok ? 0 : 2 };
}
