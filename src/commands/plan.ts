/** `rrr plan`: what a whole run would do and take, before a GPU is booked; or which models train on which GPUs. */
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { parseConfig } from '../config/load.ts';
import { isPaperTask, PAPER_MODELS, presetText } from '../config/preset.ts';
import type { Config } from '../config/schema.ts';
import { UserError } from '../errors.ts';
import { chooseSettings, estimateRun, type Gpus } from '../inspect/question.ts';
import type { PlanParams } from '../protocol/planning.ts';
import { armsOf } from '../report/arms.ts';
import { percent } from '../report/format.ts';
import { paperRowOf } from '../report/paper.ts';
import { readRecord } from '../run/files.ts';
import { runPaths } from '../run/paths.ts';
import { failuresSummary } from '../run/records.ts';
import { planStage } from '../stages/plan.ts';
import { findStage, RUN_STAGES } from '../stages/table.ts';
import type { Context, Outcome } from '../terminal/context.ts';
import { requireConfig } from '../terminal/require-config.ts';
import { resolveUserPath } from '../user-path.ts';
import { renderResources, renderTable } from './plan-text.ts';
import { renderPlan, runDirectory, type StageOptions } from './stage.ts';

export interface PlanOptions extends Omit<StageOptions, 'config'> {
  config?: string;
  gpus?: string;
  nodes?: number;
  assume?: Record<string, number>;
  price?: number;
  /** A run whose failures tell how often and how long the model answers. Default: the run itself. */
  like?: string;
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
    known: {
      ...likeModel(config),
      ...measured(options.like === undefined ? run : resolveUserPath(context.cwd, options.like)),
    },
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

/** What the paper tells of such a model's first tries. */
function likeModel({ model, task }: Config): PlanParams['known'] {
  const first = paperRowOf(task.name, model.name)?.first_try.before;
  if (!first) return {};
  const told = first.source === 'notes' ? 'notes on the paper' : 'recalled, unverified';
  const source = `${percent(first.value / 100)} % of them pass (${told})`;
  return { failure_rate: { value: 1 - first.value / 100, source } };
}

/** What a run's failures tell. */
function measured(run: string): PlanParams['known'] {
  const { failuresSummary: path } = runPaths(run);
  if (!existsSync(path)) return {};
  const { draws, pass_rate, prompt_tokens, completion_tokens } = readRecord(path, failuresSummary);
  if (draws === 0 || pass_rate === null) return {};
  const known = { failure_rate: 1 - pass_rate, question_tokens: prompt_tokens / draws };
  const values = Object.entries({ ...known, answer_tokens: completion_tokens / draws });
  const source = `the failures of ${basename(run)}`;
  return Object.fromEntries(values.map(([name, value]) => [name, { value, source }]));
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
