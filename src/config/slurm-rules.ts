/** What must hold of a run inside of a Slurm job. */

import type { Finding } from './finding.ts';
import { nodesOf, ranksOf } from './ranks.ts';
import type { Config } from './schema.ts';

export function* checkSlurm(config: Config): Generator<Finding> {
  const { engine, train, workers } = config;
  const { nodes, gpus_per_node: gpus, gres } = config.launch.slurm;
  const sections = { workers: workers.devices, train: train.devices };
  for (const [section, devices] of Object.entries(sections)) {
    if (devices === undefined) continue;
    const message = 'names GPUs of one machine, and Slurm gives each step its own';
    const cure = 'remove it; launch.slurm.gpus_per_node says how many there are';
    yield { keys: [`${section}.devices`, 'launch.kind'], message, cure };
  }
  if (gpus === 0 && gres?.includes('gpu')) {
    yield {
      keys: ['launch.slurm.gpus_per_node', 'launch.slurm.gres'],
      message: `gres ${gres} asks for GPUs, and gpus_per_node 0 gives workers and trainer none`,
      cure: 'write launch.slurm.gpus_per_node: how many of them each node has',
    };
  }
  if (gpus > 0 && engine.name === 'vllm') {
    const { tensor_parallel: each } = engine;
    const fit = Math.floor(gpus / each);
    if (fit === 0) {
      yield {
        keys: ['engine.tensor_parallel', 'launch.slurm.gpus_per_node'],
        message: `an engine of ${each} GPUs has no room on a node with ${gpus}`,
        cure: `lower engine.tensor_parallel to ${gpus}, or take larger nodes`,
      };
    } else if (Math.ceil(workers.count / nodes) > fit) {
      yield {
        keys: ['workers.count', 'engine.tensor_parallel', 'launch.slurm.nodes', 'launch.slurm.gpus_per_node'],
        message: `${workers.count} workers of ${each} GPU${each === 1 ? '' : 's'} have no room on ${nodes} nodes with ${gpus}`,
        cure: `write workers.count: ${fit * nodes}`,
      };
    }
  }
  yield* checkTrainer(config, nodes, gpus);
}

function* checkTrainer(config: Config, nodes: number, gpus: number): Generator<Finding> {
  const keys = ['train.processes', 'launch.slurm.nodes', 'launch.slurm.gpus_per_node'] as const;
  const [ranks, used] = [Number(ranksOf(config)), Number(nodesOf(config))];
  if (config.train.devices !== undefined) return;
  if (gpus > 0 && ranks > nodes * gpus) {
    const message = `${ranks} processes want a GPU each, and ${nodes} nodes with ${gpus} have ${nodes * gpus}`;
    yield { keys, message, cure: `write processes: ${nodes * gpus}, or remove it` };
  } else if (ranks % used !== 0) {
    const message = `${ranks} processes can't be shared evenly by ${used} nodes`;
    yield { keys, message, cure: `write processes: ${ranks - (ranks % used)}` };
  }
}
