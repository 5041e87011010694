/** The Slurm job that rrr runs in: its nodes, and what it has of each. */
import { execa } from 'execa';
import type { Config } from '../config/schema.ts';
import { RunError, UserError } from '../errors.ts';

type Slurm = Config['launch']['slurm'];

/** One node, as far as the job may use it. */
export interface AllocatedNode {
  name: string;
  /** How the other nodes reach it. */
  address: string;
  cpus: number;
  /** A step takes whole cores: its CPUs are a multiple of this. */
  threadsPerCore: number;
  /** In MB; 0 where Slurm doesn't count memory. */
  memory: number;
  gpus: number;
}

export interface Allocation {
  job: string;
  nodes: readonly AllocatedNode[];
}

/** The job's id. Throws UserError outside of one. */
export function requireJob(env: NodeJS.ProcessEnv = process.env): string {
  const { SLURM_JOB_ID: job } = env;
  if (job) return job;
  throw new UserError('launch.kind is slurm, and this is no Slurm job: SLURM_JOB_ID is not set', {
    cure: 'rrr submit -c CONFIG makes it one; so does salloc; --set launch.kind=local starts everything here',
  });
}

/** The first `slurm.nodes` nodes of the job. Throws UserError where it has fewer, or too few GPUs on one. */
export async function readAllocation(slurm: Pick<Slurm, 'nodes' | 'gpus_per_node'>): Promise<Allocation> {
  const job = requireJob();
  const nodes = await readNodes(job);
  const names = nodes.map(({ name }) => name).join(', ');
  if (nodes.length < slurm.nodes) {
    throw new UserError(
      `launch.slurm.nodes is ${slurm.nodes}, and job ${job} has ${nodes.length}: ${names}`,
      {
        cure: `write launch.slurm.nodes: ${nodes.length}, or let the job have more nodes`,
      },
    );
  }
  const used = nodes.slice(0, slurm.nodes);
  const poor = used.find(({ gpus }) => gpus < slurm.gpus_per_node);
  if (poor) {
    throw new UserError(
      `launch.slurm.gpus_per_node is ${slurm.gpus_per_node}, and job ${job} has ${poor.gpus} on ${poor.name}`,
      { cure: `write launch.slurm.gpus_per_node: ${poor.gpus}, or let the job have more GPUs` },
    );
  }
  return { job, nodes: used };
}

/** Such as "Nodes=n[1-3] CPU_IDs=0-3 Mem=8000 GRES=gpu:h100:2(IDX:0-1)": nodes of which the job has the same part. */
const PART = /\bNodes=(\S+) CPU_IDs=(\S+) Mem=(\d+) GRES=(\S*)/g;
const GPUS = /(?:^|,)gpu(?::[^:,()]+)?:(\d+)/g;

async function readNodes(job: string): Promise<AllocatedNode[]> {
  const text = await ask('scontrol', ['--details', '--oneliner', 'show', 'job', job]);
  const nodes: AllocatedNode[] = [];
  for (const [, list = '', cpus = '', memory, gres = ''] of text.matchAll(PART)) {
    const gpus = [...gres.matchAll(GPUS)].reduce((sum, [, count]) => sum + Number(count), 0);
    for (const name of (await ask('scontrol', ['show', 'hostnames', list])).trim().split('\n')) {
      const node = await ask('scontrol', ['--oneliner', 'show', 'node', name]);
      nodes.push({
        name,
        address: /\bNodeAddr=(\S+)/.exec(node)?.[1] ?? name,
        cpus: countIds(cpus),
        threadsPerCore: Number(/\bThreadsPerCore=(\d+)/.exec(node)?.[1] ?? 1),
        memory: Number(memory),
        gpus,
      });
    }
  }
  if (nodes.length === 0) throw new RunError(`scontrol tells no nodes of job ${job}: ${text.slice(0, 500)}`);
  return nodes;
}

/** How many are in "0-3,8-11". */
function countIds(ids: string): number {
  return ids.split(',').reduce((sum, range) => {
    const [from, to = from] = range.split('-').map(Number);
    return sum + Number(to) - Number(from) + 1;
  }, 0);
}

/** What a command of Slurm writes. Throws UserError where it fails. */
async function ask(program: string, args: readonly string[]): Promise<string> {
  const { stdout, stderr, exitCode, failed, originalMessage } = await execa(program, args, {
    reject: false,
    timeout: 60_000,
  });
  if (!failed) return stdout;
  const why = exitCode === undefined ? originalMessage : stderr.trim() || `exit code ${exitCode}`;
  throw new UserError(`launch.kind is slurm, and ${[program, ...args].join(' ')} fails: ${why}`, {
    cure: 'run rrr where the commands of Slurm work, in a job that still runs',
  });
}
