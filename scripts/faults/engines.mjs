// What the rows run on: a worker without a model, and vLLM with the tiny one.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** @import { Engine, Setup } from './types.ts' */

/** @param {string} path */
export const repository = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** What runs the workers. */
export const PYTHON = process.env.RRR_PYTHON || repository('.venv/bin/python');

/**
 * How a run is configured for each, and when a run of it is overdue.
 * @type {Record<Engine, { config: (home: string) => Setup, limitS: number }>}
 */
export const ENGINES = {
  fake: {
    config: (home) => {
      mkdirSync(join(home, 'model'));
      writeFileSync(join(home, 'model/config.json'), '{}');
      writeFileSync(
        join(home, 'config.yaml'),
        'model: {name: ./model}\ndata: {source: generator, rows: 100}\nfailures: {max_draws: 6}\n' +
          'workers: {count: 2, max_in_flight: 3, stop_grace_s: 2}\n',
      );
      const script = `#!/bin/sh\nPYTHONPATH='${repository('test/fixtures')}' exec '${PYTHON}' "$1" "$2" fake_worker\n`;
      writeFileSync(join(home, 'python'), script, { mode: 0o755 });
      return {
        config: join(home, 'config.yaml'),
        sets: [],
        env: { RRR_PYTHON: join(home, 'python'), FAKE_CHILD: '1' },
      };
    },
    limitS: 60,
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
};
