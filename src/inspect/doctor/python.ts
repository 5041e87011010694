/** The Python that runs the workers: is there one, and is what it holds what the lock file says? */
import { dirname } from 'node:path';
import { execa } from 'execa';
import { z } from 'zod';
import { UserError } from '../../errors.ts';
import { findEnvironments, madePython, REQUIREMENTS, STACKS, WORKERS } from '../../launch/environment.ts';
import { findPython } from '../../launch/python.ts';
import { findBasePython, lacksAvx2, PROGRAM_TIMEOUT_MS } from '../../setup/machine.ts';
import { error, type Finding, info, type Subject, warning } from './finding.ts';

const OLDEST = [3, 11] as const;
const PROBE = `${WORKERS}/rrr_workers/runtime/probe.py`;
const MOST_NAMED = 5;

/** What probe.py says. */
const probeResult = z.object({
  stack: z.enum(STACKS),
  python: z.string(),
  off: z.array(z.object({ name: z.string(), locked: z.string(), installed: z.string().nullable() })),
  torch: z.object({ version: z.string(), cuda: z.string().nullable() }).nullable(),
});
export type Probe = z.output<typeof probeResult>;

export interface PythonFacts {
  findings: Finding[];
  probe?: Probe;
}

export async function examinePython({ config, env }: Subject): Promise<PythonFacts> {
  let python: string;
  try {
    python = findPython(config ?? {}, env);
  } catch (cause) {
    if (!(cause instanceof UserError)) throw cause;
    const cure = (await findBasePython(env)) ? 'rrr setup' : 'install Python 3.11 or newer, then rrr setup';
    return { findings: [error('no_python_environment', cause.message, cure)] };
  }
  const run = (...args: string[]) =>
    execa(python, args, { env, reject: false, timeout: PROGRAM_TIMEOUT_MS, stdin: 'ignore' });
  const version = await run('-c', 'import sys; print(*sys.version_info[:2])');
  const [major = 0, minor = 0] = version.stdout.split(' ').map(Number);
  if (version.failed || !Number.isInteger(major)) {
    const why = version.stderr.split('\n').at(-1) || version.shortMessage || version.stdout;
    return { findings: [error('no_python_environment', `${python} doesn't work: ${why}`, 'rrr setup')] };
  }
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
    const cure =
      'name a newer one (python in the config, RRR_PYTHON), or remove that and use the one of rrr setup';
    return {
      findings: [error('python_too_old', `${python} is Python ${major}.${minor}, older than 3.11`, cure)],
    };
  }
  const made = findEnvironments(env).find((each) => each.python === python);
  const { failed, stdout, stderr } = await run(PROBE, REQUIREMENTS, ...(made ? [made.stamp.stack] : []));
  if (failed) {
    const why = stderr.split('\n').at(-1);
    const broken = error(
      'package_off_lock',
      `the packages of ${python} can't be listed: ${why}`,
      'rrr setup',
    );
    return { findings: [broken] };
  }
  const probe = probeResult.parse(JSON.parse(stdout));
  return {
    probe,
    findings: [...judgePackages(probe, python, python === madePython(env)), ...judgeStack(probe, config)],
  };
}

function judgePackages({ off, stack }: Probe, python: string, ours: boolean): Finding[] {
  if (off.length === 0) return [];
  const named = off
    .slice(0, MOST_NAMED)
    .map(({ name, locked, installed }) => `${name} ${installed ?? 'is missing'} (locked: ${locked})`);
  const more = off.length > MOST_NAMED ? `, and ${off.length - MOST_NAMED} more` : '';
  const found = `${python} is not as ${stack}.lock says: ${named.join(', ')}${more}`;
  // Another Python than ours may hold what its owner likes, and most of it will do.
  return ours
    ? [error('package_off_lock', found, `rm -r ${dirname(dirname(python))}, then rrr setup --stack ${stack}`)]
    : [warning('package_off_lock', found, `install those versions, or use the Python of rrr setup`)];
}

function judgeStack({ stack }: Probe, config: Subject['config']): Finding[] {
  if (stack === 'light') {
    const cannot = config?.engine.name === 'openai' ? 'train and eval' : 'build-failures, train and eval';
    const found = `the set-up is a light one: ${cannot} need more`;
    return [info('light_set_up', found, 'where those are to run: rrr setup --stack cpu, or cuda')];
  }
  return stack === 'cpu' && lacksAvx2()
    ? [error('no_avx2', 'vLLM for CPUs needs AVX2, which this processor lacks', 'use another machine')]
    : [];
}
