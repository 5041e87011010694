// What the rows run on: a worker without a model, here or in steps of a Slurm job, and vLLM with the tiny one.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** @import { Engine, Setup } from './types.ts' */

/** @param {string} path */
export const repository = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** What runs the workers. */
export const PYTHON = process.env.RRR_PYTHON || repository('.venv/bin/python');

/** Of a benchmark that fits a model of 256 tokens. */
const ITEMS = ['one', 'two', 'three', 'four'].map((word, label) => {
  const endings = ['one', 'two', 'three', 'four'].map((end) => `is ${end}.`);
  return { query: `The number ${word}`, endings, label };
});

/** A Python that runs the fake in the place of the module that comes last, but keeps srun as it is. */
const FAKE_PYTHON = `#!/bin/bash
export PYTHONPATH='${repository('test/fixtures')}:${repository('workers')}'
case "$*" in
  *' --program '*) exec '${PYTHON}' "$@" ;;
  *) exec '${PYTHON}' "\${@:1:$#-1}" fake_worker ;;
esac
`;

/**
 * How a run is configured for each, and when a run of it is overdue.
 * @type {Record<Engine, { config: (home: string) => Setup, limitS: number }>}
 */
export const ENGINES = {
  fake: { config: (home) => configureFake(home, []), limitS: 60 },
  slurm: {
    config: (home) => configureFake(home, ['launch.kind=slurm', 'launch.slurm.nodes=2']),
    limitS: 120,
  },
  vllm: {
    config: () => ({
      config: repository('configs/demo.yaml'),
      sets: [
        'data.rows=1000',
        'data.train_rows=300',
        'failures.failures_per_query=8',
        'workers.max_in_flight=8',
      ],
      env: { OMP_WAIT_POLICY: 'PASSIVE' },
    }),
    limitS: 400,
  },
  // All stages in minutes.
  small: {
    config: (home) => {
      mkdirSync(join(home, 'benchmarks'));
      writeFileSync(
        join(home, 'benchmarks/hellaswag.jsonl'),
        ITEMS.map((item) => `${JSON.stringify(item)}\n`).join(''),
      );
      return {
        config: repository('configs/demo.yaml'),
        sets: [
          'data={source: generator, rows: 400, test_fraction: 0.2, train_fraction: 0.3, train_rows: 60, test_rows: 20}',
          'failures={max_draws: 4, failures_per_query: 1}',
          'engine.cpu_kv_cache_gib=0.25',
          'workers={count: 2, max_in_flight: 16}',
          'train={steps: 6, batch_size: 16, num_generations: 4, processes: 2, learning_rate: 3e-4, checkpoint_every: 1}',
          'eval.modes=[sampled]',
          `benchmarks={tasks: [hellaswag], source: files, path: ${join(home, 'benchmarks')}}`,
        ],
        env: { OMP_WAIT_POLICY: 'PASSIVE' },
      };
    },
    limitS: 600,
  },
};

/**
 * @param {string} home
 * @param {string[]} sets
 * @returns {Setup}
 */
function configureFake(home, sets) {
  mkdirSync(join(home, 'model'));
  writeFileSync(join(home, 'model/config.json'), '{}');
  writeFileSync(
    join(home, 'config.yaml'),
    'model: {name: ./model}\ndata: {source: generator, rows: 100}\nfailures: {max_draws: 6}\n' +
      'workers: {count: 2, max_in_flight: 3, stop_grace_s: 2}\n',
  );
  writeFileSync(join(home, 'python'), FAKE_PYTHON, { mode: 0o755 });
  const config = join(home, 'config.yaml');
  return { config, sets, env: { RRR_PYTHON: join(home, 'python'), FAKE_CHILD: '1' } };
}
