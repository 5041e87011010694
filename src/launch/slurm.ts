/**
 * Workers as steps of the Slurm job that rrr runs in. Frames go through srun's stdin and stdout. A guardian here keeps srun
 * on our lifeline (its end ends the step), and one on each node keeps the worker (workers/rrr_workers/runtime/guardian.py).
 *
 * A step asks for its share of a node: by default the first takes all memory of the job, and the next one waits. What is small,
 * such as reading the data, runs here without a step.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { UserError } from '../errors.ts';
import type { AllocatedNode, Allocation } from './allocation.ts';
import type { Launcher, LaunchRequest, Share, WorkerProcess, WorkerSignal } from './launcher.ts';
import { type LocalLauncher, openLog } from './local.ts';

export interface SlurmOptions {
  python: string;
  logs: string;
  /** More options of srun. */
  srun: readonly string[];
  /** 0: workers and trainer get none, whatever the job has. */
  gpusPerNode: number;
}

interface Step {
  nodes: readonly AllocatedNode[];
  /** How many of its kind share a node. */
  perNode: number;
  /** On each node. */
  gpus: number;
}

/** What is left of a node's memory for rrr itself. */
const KEPT = 1 / 20;
const ASK_MS = 3000;
const SRUN_ERROR = 'srun: error: ';
/** Of the site and of who is asked; the others tell of the batch step, and srun would take its options from them. */
const TRAVELLING = ['SLURM_CONF', 'SLURM_JWT', 'SLURM_CLUSTERS'];
const OF_THE_BATCH_STEP =
  /^(SLURM|SRUN|SBATCH|SALLOC)_|^(CUDA_VISIBLE_DEVICES|ROCR_VISIBLE_DEVICES|GPU_DEVICE_ORDINAL)$/;
/** Below what systems give to clients, and above what daemons use. */
const PORTS = { first: 20_000, count: 10_000 };

export class SlurmLauncher implements Launcher {
  readonly #local: LocalLauncher;
  readonly #allocation: Allocation;
  readonly #options: SlurmOptions;
  #trainers = 0;

  constructor(local: LocalLauncher, allocation: Allocation, options: SlurmOptions) {
    this.#local = local;
    this.#allocation = allocation;
    this.#options = options;
  }

  launch(request: LaunchRequest): WorkerProcess {
    const { share, ranks, nodes } = request;
    if (share) return this.#start(request, this.#place(share), []);
    if (typeof ranks === 'number' && nodes !== undefined)
      return this.#startRanks(request, ranks / nodes, nodes);
    return this.#local.launch(request);
  }

  /** Workers take turns over the nodes. */
  #place({ index, count, gpus }: Share): Step {
    const { nodes } = this.#allocation;
    const node = nodes[index % nodes.length] as AllocatedNode;
    return this.#stepOn([node], Math.ceil(count / nodes.length), gpus);
  }

  #stepOn(nodes: readonly AllocatedNode[], perNode: number, gpus: number): Step {
    return { nodes, perNode, gpus: this.#options.gpusPerNode === 0 ? 0 : gpus };
  }

  /** As many on each of the first nodes. */
  #startRanks(request: LaunchRequest, each: number, count: number): WorkerProcess {
    const { job, nodes } = this.#allocation;
    const used = nodes.slice(0, count);
    const step = this.#stepOn(used, 1, each);
    // A port that is taken ends the trainer, which is then started again at the next one.
    const port = PORTS.first + ((Number(job) * 8 + this.#trainers++) % PORTS.count);
    const meeting = { MASTER_ADDR: used[0]?.address, MASTER_PORT: `${port}` };
    return this.#start(request, step, ['--ranks', `${each}`], meeting);
  }

  #start(
    { name, module }: LaunchRequest,
    step: Step,
    ranks: readonly string[],
    env: NodeJS.ProcessEnv = {},
  ): WorkerProcess {
    const { python, logs } = this.#options;
    const options = this.#srunOptions(name, step);
    const log = openLog(logs, name);
    const others = ['--logs', join(logs, `${name}-rank-{rank}.${log.attempt}.stderr`)];
    const guardian = ['-m', 'rrr_workers.runtime.guardian', '--slurm', ...ranks, ...others, module];
    const program = ['srun', ...options, python, ...guardian];
    const own = this.#local.guard(log, ['--program', ...program], { ...ofThisJob(), ...env });
    return {
      ...own,
      exited: own.exited.then((how) => this.#explain(how, step, log.path)),
      signal: (signal) => void this.#signal(own, name, signal),
    };
  }

  #srunOptions(name: string, { nodes, perNode, gpus }: Step): string[] {
    const { job } = this.#allocation;
    const least = (of: (node: AllocatedNode) => number) => Math.min(...nodes.map(of));
    const cpus = least((node) => Math.floor(node.cpus / perNode / node.threadsPerCore) * node.threadsPerCore);
    const memory = least((node) => Math.floor((node.memory * (1 - KEPT)) / perNode));
    const names = nodes.map((node) => node.name);
    if (cpus === 0) {
      throw new UserError(
        `${perNode} workers can't share the ${nodes[0]?.cpus} CPUs of job ${job} on ${names}`,
        {
          cure: 'lower workers.count, or let the job have more CPUs (sbatch and salloc: --exclusive)',
        },
      );
    }
    const withGpus = nodes.some((node) => node.gpus > 0);
    return [
      `--jobid=${job}`,
      `--job-name=${name}`,
      `--nodes=${nodes.length}`,
      `--ntasks=${nodes.length}`,
      '--ntasks-per-node=1',
      `--nodelist=${names}`,
      '--exact',
      `--cpus-per-task=${cpus}`,
      ...(memory > 0 ? [`--mem=${memory}M`] : []),
      ...(withGpus ? [gpus > 0 ? `--gres=gpu:${gpus}` : '--gres=none'] : []),
      ...(nodes.length > 1 ? ['--input=0', '--output=0', '--error=all'] : []),
      '--export=ALL',
      '--mpi=none',
      '--kill-on-bad-exit=1',
      '--wait=0',
      ...this.#options.srun,
    ];
  }

  /** srun alone doesn't tell all: of a step whose node is lost it says exit code 0. */
  async #explain(how: string, { nodes }: Step, log: string): Promise<string> {
    const { job } = this.#allocation;
    const state = await ask('squeue', ['--noheader', '--states=all', `--jobs=${job}`, '--format=%T']);
    const lines = existsSync(log) ? readFileSync(log, 'utf8').split('\n') : [];
    // The first, as what it ends says more.
    const said = lines.find((line) => line.startsWith(SRUN_ERROR))?.replace(SRUN_ERROR, ': ') ?? '';
    const over = state === 'RUNNING' ? '' : `; job ${job} is ${state || 'gone'}`;
    return `${how} on ${nodes.map(({ name }) => name).join(', ')}${said}${over}`;
  }

  async #signal(own: WorkerProcess, name: string, signal: WorkerSignal): Promise<void> {
    // srun hands SIGUSR1 on, and takes the step along when it is killed. So it would at SIGTERM, and at once.
    if (signal !== 'SIGTERM') return own.signal(signal);
    const steps = await ask('squeue', [
      '--noheader',
      '--steps',
      `--jobs=${this.#allocation.job}`,
      '--format=%i %j',
    ]);
    const step = steps
      .split('\n')
      .find((line) => line.split(' ')[1] === name)
      ?.split(' ')[0];
    if (step !== undefined) await ask('scancel', ['--signal=TERM', step]);
  }
}

/** The environment for srun, as changes to ours. */
function ofThisJob(): NodeJS.ProcessEnv {
  const names = Object.keys(process.env).filter(
    (name) => OF_THE_BATCH_STEP.test(name) && !TRAVELLING.includes(name),
  );
  return Object.fromEntries(names.map((name) => [name, undefined]));
}

/** What a command of Slurm writes; nothing where it fails. */
async function ask(program: string, args: readonly string[]): Promise<string> {
  const { stdout } = await execa(program, args, { reject: false, timeout: ASK_MS, stdin: 'ignore' });
  return `${stdout ?? ''}`.trim();
}
