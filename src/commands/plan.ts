/** `rrr plan`: what a whole run would do and take, before a GPU is booked; or which models train on which GPUs. */
import { parseConfig } from '../config/load.ts';
import { isPaperTask, PAPER_MODELS, presetText } from '../config/preset.ts';
import type { Config } from '../config/schema.ts';
import { UserError } from '../errors.ts';
import { chooseSettings, estimateRun, type Gpus } from '../inspect/question.ts';
import { armsOf } from '../report/arms.ts';
import { percent } from '../report/format.ts';
import { paperRowOf } from '../report/paper.ts';
import { planStage } from '../stages/plan.ts';
import { findStage, RUN_STAGES } from '../stages/table.ts';
import type { Context, Outcome } from '../terminal/context.ts';
import { requireConfig } from '../terminal/require-config.ts';
import { renderResources, renderTable } from './plan-text.ts';
import { renderPlan, runDirectory, type StageOptions } from './stage.ts';

export interface PlanOptions extends Omit<StageOptions, 'config'> {
  config?: string;
  gpus?: string;
  nodes?: number;
  assume?: Record<string, number>;
  price?: number;
  /** The task whose models are listed. */
  table?: string;
}

/** The GPUs of the table's columns. */
const COLUMNS: readonly Gpus[] = [
  { gpus: '1x24', nodes: 1 },
  { gpus: '1x80', nodes: 1 },
  { gpus: '4x80', nodes: 1 },
  { gpus: '8x80', nodes: 1 },
  { gpus: '8x80', nodes: 2 },
];

/** Exit code 2 where the run would end with an error. */
export async function runPlan(context: Context, given: PlanOptions): Promise<Outcome> {
  if (given.table !== undefined) return planTable(context, given.table);
  if (given.config === undefined)
    throw new UserError('which run to plan is not said', {
      cure: 'name the config with -c FILE, or --table',
    });
  const options = { ...given, config: given.config };
  const config = requireConfig(context, options);
  const run = runDirectory(context, options);
  const stages = await Promise.all(
    RUN_STAGES.map((name) => planStage(findStage(name), config, run, RUN_STAGES)),
  );
  const [{ queries } = { queries: { train: null, test: null } }] = stages;
  const { launch } = config;
  const slurm = launch.kind === 'slurm' && launch.slurm.gpus_per_node > 0 ? launch.slurm : undefined;
  const params = {
    gpus: options.gpus ?? (slurm ? `${slurm.gpus_per_node}x80` : null),
    nodes: options.nodes ?? slurm?.nodes ?? 1,
    queries: { train: queries.train, test: queries.test },
    failure_rate: failureRate(config),
    arms: armsOf(config.eval),
    assume: options.assume ?? {},
  };
  const resources = await estimateRun(params, { config, signal: context.signal });
  const { price } = options;
  const { gpu_hours, warnings } = resources;
  const cost = price === undefined || gpu_hours === null ? null : price * gpu_hours;
  return {
    text: [...stages.map(renderPlan), renderResources(resources, price)].join('\n\n'),
    json: { stages, resources: { ...resources, price: price ?? null, cost } },
    exitCode: warnings.some(({ fatal }) => fatal) ? 2 : 0,
  };
}

/** What is told of the model's first tries, if anything is. */
function failureRate({ model, task }: Config): { value: number; source: string } | null {
  const first = paperRowOf(task.name, model.name)?.first_try.before;
  if (!first) return null;
  const source = first.source === 'notes' ? 'notes on the paper' : 'recalled, unverified';
  return { value: 1 - first.value / 100, source: `${percent(first.value / 100)} % of them pass (${source})` };
}

async function planTable({ signal, cwd }: Context, task: string): Promise<Outcome> {
  if (!isPaperTask(task)) {
    throw new UserError(`there is no table of ${task}`, {
      cure: `name one of ${Object.keys(PAPER_MODELS).join(', ')}`,
    });
  }
  const models = [...PAPER_MODELS[task]];
  const text = presetText({ model: models[0] as string, task });
  const config = parseConfig({ file: 'preset', text, sets: [], cwd }).config as Config;
  const choices = await chooseSettings({ models, hardware: [...COLUMNS], fetch: false }, { config, signal });
  return { text: renderTable(choices), json: { task, choices } };
}
