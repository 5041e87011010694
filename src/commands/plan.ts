/** What a command is about to do, as data: shown by --dry-run before anything heavy starts. */
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Config } from '../config/schema.ts';
import { prepareResult } from '../protocol/methods.ts';
import { type RunPaths, runPaths } from '../run/paths.ts';

export type Stage = 'build-failures' | 'train' | 'eval';

export interface Plan {
  command: Stage;
  run: string;
  model: string;
  task: string;
  seed: number;
  data: string;
  /** Queries of the two splits. About right until the data is prepared; null when only reading would tell. */
  queries: { train: number | null; test: number | null; exact: boolean };
  /** Upper limits of the work, by name. */
  work: Record<string, number | string>;
  /** In the order they start. */
  processes: { role: string; count: number; what: string }[];
  writes: string[];
  /** What must be there first and isn't, with the command that makes it. */
  missing: string[];
}

export async function planStage(command: Stage, config: Config, run: string): Promise<Plan> {
  const paths = runPaths(run);
  const queries = await countQueries(config, paths);
  return {
    command,
    run,
    model: config.model.name,
    task: config.task.name,
    seed: config.seed,
    data: describeData(config),
    queries,
    ...PLANS[command](config, paths, queries),
  };
}

type Queries = Plan['queries'];
type StagePlan = Pick<Plan, 'work' | 'processes' | 'writes' | 'missing'>;

const PLANS: Record<Stage, (config: Config, paths: RunPaths, queries: Queries) => StagePlan> = {
  'build-failures': (config, paths, { train }) => ({
    work: {
      'queries at most': train ?? 'all in the data',
      'draws at most':
        train === null ? `${config.failures.max_draws} a query` : train * config.failures.max_draws,
    },
    processes: [prepareProcess, samplers(config, config.model.name)],
    writes: [paths.data, paths.failures],
    missing: [],
  }),
  train: ({ train, workers }, paths) => ({
    work: {
      steps: train.steps,
      'reflections at most': train.steps * train.batch_size,
      'retries at most': train.steps * train.batch_size * train.retries_per_reflection,
      reward: train.reward,
    },
    processes: [
      {
        role: 'trainer',
        count: 1,
        what: `GRPO with an engine of its own (${workers.enforce_eager ? 'eager' : 'compiled'})`,
      },
    ],
    writes: [paths.trainEvents, paths.trainedModel],
    missing: needs(paths.failures, 'build-failures'),
  }),
  eval: (config, paths, { test }) => {
    const { modes, model } = config.eval;
    // Each model on every query, and the trained one once more on each failure of the base model.
    return {
      work: {
        modes: modes.join(', '),
        'queries at most': test ?? 'all in the test split',
        'episodes at most': test === null ? `${3 * modes.length} a query` : 3 * modes.length * test,
      },
      processes: [samplers(config, config.model.name), samplers(config, model ?? paths.trainedModel)],
      writes: [paths.report('json'), paths.report('md'), paths.report('html')],
      missing: model === undefined ? needs(paths.trainedModel, 'train') : [],
    };
  },
};

const prepareProcess = { role: 'prepare', count: 1, what: 'reads and splits the data' };

function samplers({ workers }: Config, model: string): Plan['processes'][number] {
  const where = workers.devices ? ` on GPUs ${workers.devices.join(' | ')}` : '';
  return { role: 'sampler', count: workers.count, what: `${workers.engine}, ${model}${where}` };
}

function needs(path: string, stage: Stage): string[] {
  return existsSync(path) ? [] : [`${path}: run rrr ${stage} first`];
}

function describeData({ data }: Config): string {
  if (data.source === 'generator') return `generator, ${data.rows} rows`;
  const from = data.source === 'hub' ? `${data.dataset}, split ${data.hub_split}` : `${data.path}`;
  return `${data.source}, ${from}${data.rows === undefined ? '' : `, the first ${data.rows} rows`}`;
}

async function countQueries({ data }: Config, { dataSummary }: RunPaths): Promise<Queries> {
  if (existsSync(dataSummary)) {
    const { train, test } = prepareResult.parse(JSON.parse(readFileSync(dataSummary, 'utf8')));
    return { train, test, exact: true };
  }
  const lines = data.source === 'jsonl' && data.path !== undefined ? await countLines(data.path) : Infinity;
  const rows = Math.min(lines, data.rows ?? Infinity);
  const share = (fraction: number, limit = Infinity) => {
    const count = Math.min(Math.round(rows * fraction), limit);
    return Number.isFinite(count) ? count : null;
  };
  return {
    train: share(data.train_fraction, data.train_rows),
    test: share(data.test_fraction, data.test_rows),
    exact: false,
  };
}

async function countLines(path: string): Promise<number> {
  let count = 0;
  for await (const line of createInterface({ input: createReadStream(path) }))
    if (line.trim() !== '') count++;
  return count;
}

export function renderPlan(plan: Plan): string {
  const about = (count: number | null) =>
    count === null ? 'not known yet' : `${plan.queries.exact ? '' : 'about '}${count}`;
  const rows: [string, string][] = [
    ['run', plan.run],
    ['task', plan.task],
    ['model', plan.model],
    ['data', plan.data],
    ['queries', `train ${about(plan.queries.train)}, test ${about(plan.queries.test)}`],
    ['seed', `${plan.seed}`],
    ...Object.entries(plan.work).map(([key, value]): [string, string] => [key, `${value}`]),
    ...plan.processes.map(({ role, count, what }): [string, string] => [
      'starts',
      `${count} x ${role}: ${what}`,
    ]),
    ...plan.writes.map((path): [string, string] => ['writes', path]),
    ...plan.missing.map((path): [string, string] => ['missing', path]),
  ];
  const width = Math.max(...rows.map(([key]) => key.length));
  return [
    `rrr ${plan.command} would do this:`,
    ...rows.map(([key, value]) => `  ${key.padEnd(width)}  ${value}`),
  ].join('\n');
}
