/** A copy of rrr with a "Python" that writes down what it is asked, so that the set-up takes no time. */
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { temporaryFolder } from '../workers/harness.ts';

/** Its environments have a copy of itself as their Python. Variables of the process say how pip fares. */
const PYTHON = `#!/bin/sh
echo "$*" >>"$FAKE_LOG"
case "$*" in
  "-VV") echo "Python 3.12.0 (fake)" ;;
  "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && mkdir -p "$3/lib/python3.12/site-packages" ;;
  *sysconfig*) echo "$(dirname "$(dirname "$0")")/lib/python3.12/site-packages" ;;
  *"pip install"*--extra-index-url*) ;;
  *"pip install"*torch==*) [ -z "$FAKE_NO_TORCH" ] || { echo "ERROR: No matching distribution found for torch"; exit 1; } ;;
  *"pip install"*)
    echo "Collecting pip's things"
    [ -z "$FAKE_HANG" ] || { touch "$FAKE_HANG"; exec sleep 60; }
    [ -z "$FAKE_BROKEN" ] || { echo "ERROR: no space left"; exit 1; } ;;
esac
`;

export function makeSetupHome({ clone = false, gpus = 0 } = {}) {
  const folder = temporaryFolder();
  const rrr = join(folder, 'rrr');
  const [log, cache, bin] = ['log', 'cache', 'bin'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  for (const part of ['dist', 'package.json', 'workers/requirements'])
    cpSync(part, join(rrr, part), { recursive: true });
  symlinkSync(resolve('node_modules'), join(rrr, 'node_modules'));
  if (clone) mkdirSync(join(rrr, 'src'));
  mkdirSync(bin);
  const program = (name: string, script: string) => {
    writeFileSync(join(bin, name), script, { mode: 0o755 });
    return join(bin, name);
  };
  program(
    'nvidia-smi',
    `#!/bin/sh\n${gpus > 0 ? 'yes "GPU 0: H100" | head -n '.concat(`${gpus}`) : 'exit 9'}\n`,
  );
  const python = program('python', PYTHON);
  const env = {
    PATH: `${bin}:${process.env.PATH}`,
    PYTHON: python,
    RRR_CACHE: cache,
    FAKE_LOG: log,
    RRR_STACK: undefined,
    RRR_PYTHON: undefined,
  };
  const start = (args: string[], more: NodeJS.ProcessEnv = {}) =>
    execa(process.execPath, [join(rrr, 'dist/main.js'), ...args], {
      cwd: folder,
      reject: false,
      env: { ...env, ...more },
    });
  /** The set-up's JSON, with the exit code and what it said. */
  const setup = async (args: string[] = [], more: NodeJS.ProcessEnv = {}) => {
    const { stdout, stderr, exitCode } = await start(['setup', '--json', ...args], more);
    return { ...JSON.parse(stdout || '{}'), stderr, exitCode };
  };
  /** What the "Python" was asked since it was asked last. */
  const takeLog = () => {
    const lines = existsSync(log) ? readFileSync(log, 'utf8').trimEnd().split('\n') : [];
    writeFileSync(log, '');
    return lines;
  };
  return { folder, rrr, cache, start, setup, takeLog };
}
