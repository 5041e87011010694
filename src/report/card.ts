/** The card of a trained model: README.md of the folder that is pushed to the hub. No path of this machine is in it. */
import { stringify } from 'yaml';
import type { Config } from '../config/schema.ts';
import type { PrepareResult, TrainEvent } from '../protocol/methods.ts';
import type { TrainSummary } from '../run/records.ts';
import { type UsageInput, usage } from './card-usage.ts';
import { compact, percent } from './format.ts';
import { block, inline, list, table, titledTable } from './markdown.ts';
import type { DecodingReport, Report } from './report.ts';
import { comparisonTable, controlTables } from './tables/comparisons.ts';
import { forgettingTables, STATISTICS_NOTE } from './tables/run.ts';

export type BaseFacts = Omit<Extract<TrainEvent, { kind: 'base' }>, 'kind'>;

export interface CardInput extends UsageInput {
  base: BaseFacts | null;
  data: PrepareResult;
  /** Hex sha256 of the queries that were trained and tested on. */
  hashes: { train: string; test: string };
  failures: { kept: number; queries: number };
  training: TrainSummary;
  /** Of the workers. */
  versions: Record<string, string>;
  rrr: { version: string; commit: string | null };
  /** Null before there is one. */
  evaluation: Report | null;
}

/** The last line of a card that rrr may write again. */
export const MARK =
  '<!-- Written by rrr, which writes it again with every report of its run. Remove this line to keep your own changes. -->';

export function renderCard(input: CardInput): string {
  const { config, evaluation } = input;
  return [
    `---\n${stringify(metadata(input), { lineWidth: 0 })}---`,
    `# ${inline(nameOf(input))}`,
    describe(input),
    '## Results',
    ...(evaluation ? renderResults(evaluation) : ['Not evaluated yet: `rrr eval` writes its results here.']),
    '## Use',
    ...usage(input),
    '## Training',
    table(trainingTable(input)),
    '## Data',
    table(dataTable(input)),
    '## Prompts',
    'As they were in training; what stands in braces is filled in from each query.',
    ...Object.entries(input.data.prompts)
      .filter(([name, prompt]) => prompt !== null && !CONTROL_PROMPTS.includes(name))
      .map(([name, prompt]) => `${name}:\n${block(`${prompt}`)}`),
    '## Limits',
    list(limits(config)),
    '## Licence',
    licence(input),
    MARK,
  ]
    .join('\n\n')
    .concat('\n');
}

/** Only the evaluation asks with these. */
const CONTROL_PROMPTS = ['bare_retry', 'hint'];

/** The last part of a hub id or of a path. */
const shortName = (name: string) => name.split('/').at(-1) ?? name;
const isFolder = (name: string) => name.startsWith('/');

/** "countdown", or the class of a user's own task. */
const taskName = ({ task }: Config) => task.name.split(':').at(-1) ?? task.name;

function nameOf({ kind, config }: CardInput): string {
  const how = config.train.reward === 'shuffled' ? 'a shuffled reward' : 'reflect, retry, reward';
  return `${shortName(config.model.name)}: ${how} on ${taskName(config)}${kind === 'adapter' ? ' (LoRA adapter)' : ''}`;
}

function metadata(input: CardInput) {
  const { kind, config, base, evaluation } = input;
  const { license, license_name, license_link } = base ?? {};
  return {
    ...(!isFolder(config.model.name) && { base_model: config.model.name }),
    ...(license && { license }),
    ...(license_name && { license_name }),
    ...(license_link && { license_link }),
    ...(config.data.dataset !== undefined && { datasets: [config.data.dataset] }),
    library_name: kind === 'adapter' ? 'peft' : 'transformers',
    pipeline_tag: 'text-generation',
    tags: [
      'rrr',
      'reflect-retry-reward',
      'self-reflection',
      'grpo',
      'trl',
      'vllm',
      ...(config.train.lora ? ['lora'] : []),
    ],
    ...(evaluation && {
      'model-index': [
        { name: nameOf(input), results: evaluation.decodings.map((one) => indexed(one, config)) },
      ],
    }),
  };
}

/** A decoding as the hub's model index has it: percentages after training, with those before in their names. */
function indexed({ decoding, comparisons }: DecodingReport, config: Config) {
  const { dataset, hub_split } = config.data;
  return {
    task: { type: 'text-generation', name: taskName(config) },
    dataset: {
      type: dataset ?? taskName(config),
      name: `${dataset ?? taskName(config)}, held out by rrr, ${decoding} decoding`,
      ...(dataset !== undefined && { split: hub_split }),
    },
    metrics: comparisons
      .filter(({ result }) => result.n > 0)
      .map(({ name, label, result: { before, after, n } }) => ({
        type: 'accuracy',
        name: `${name}: ${label}, % of ${n} (before training: ${fixed(before.rate)})`,
        value: Number(fixed(after.rate)),
      })),
  };
}

const fixed = (rate: number) => (100 * rate).toFixed(1);

function describe({ kind, config }: CardInput): string {
  const base = isFolder(config.model.name)
    ? `a model in a local folder, ${code(shortName(config.model.name))},`
    : code(config.model.name);
  const what = kind === 'adapter' ? 'A LoRA adapter of' : 'Made from';
  return [
    `${what} ${base} by Reflect, Retry, Reward ([Bensal et al., 2025](https://arxiv.org/abs/2505.24726)) with rrr.`,
    `The task is ${code(taskName(config))}. Where a verifier rejected an answer, the model wrote a reflection and tried again; where that passed, GRPO rewarded the tokens of the reflection, and only those. What was taught is to reflect, not the task.`,
    ...(config.train.reward === 'shuffled'
      ? [
          '**This is a control: its rewards were shuffled, so that training could teach it nothing. It is not for use.**',
        ]
      : []),
  ].join(' ');
}

const code = (text: string) => `\`${text.replaceAll('`', "'")}\``;

/** Losses as gains: every measure has its sentence and its row. */
function renderResults(report: Report): string[] {
  return [
    list(report.verdict),
    ...report.decodings.flatMap((one) => [
      `### ${one.decoding === 'greedy' ? 'Greedy' : 'Sampled'} decoding`,
      table(comparisonTable(one.comparisons)),
      ...(one.controls.length > 0 ? controlTables(one).flatMap(titledTable) : []),
    ]),
    STATISTICS_NOTE,
    ...(report.forgetting.length > 0
      ? forgettingTables(report).flatMap(titledTable)
      : ['What training cost on general benchmarks was not measured: `rrr benchmarks` does.']),
  ];
}

function trainingTable({ config, training, base, rrr, versions }: CardInput): string[][] {
  const { train, sampling, model } = config;
  const { second_try, kl } = training;
  const commit = base?.commit ?? model.revision;
  return [
    ['', ''],
    ['base model', `${shortName(model.name)}${commit === undefined ? '' : `, commit ${commit}`}`],
    [
      'method',
      `GRPO (${train.loss_type}), ${train.lora ? `LoRA of rank ${train.lora.rank}` : 'all weights'}`,
    ],
    [
      'reward',
      train.reward === 'shuffled' ? 'shuffled (a control)' : 'share of retries that the verifier passed',
    ],
    ['steps, reflections a step', `${training.steps}, ${train.batch_size}`],
    [
      'reflections a failure, retries a reflection',
      `${train.num_generations}, ${train.retries_per_reflection}`,
    ],
    ['learning rate', `${compact(train.learning_rate)}, ${train.lr_scheduler}`],
    ['weight of the KL penalty', compact(train.beta)],
    ['sampling', `temperature ${sampling.temperature}, top_p ${sampling.top_p}`],
    ['tokens at most', `answer ${sampling.max_answer_tokens}, reflection ${sampling.max_reflection_tokens}`],
    ['context, dtype', `${model.max_model_len} tokens, ${model.dtype}`],
    ['seed', `${config.seed}`],
    [
      'second tries of the batches, first and last tenth',
      second_try ? `${percent(second_try.before)} % → ${percent(second_try.after)} %` : 'none',
    ],
    ['KL to the base model at the end', compact(kl)],
    ['rrr', `${rrr.version}${rrr.commit === null ? '' : `, commit ${rrr.commit}`}`],
    [
      'versions',
      Object.entries(versions)
        .map((pair) => pair.join(' '))
        .join(', ') || 'not told',
    ],
  ];
}

function dataTable({ config, data, hashes, failures }: CardInput): string[][] {
  const { source, dataset, subset, hub_split, path } = config.data;
  const from = {
    hub: `${dataset}${subset === undefined ? '' : `, ${subset}`}, split ${hub_split}`,
    generator: `the task's generator, seed ${config.seed}`,
    jsonl: shortName(path ?? ''),
    parquet: shortName(path ?? ''),
  }[source];
  return [
    ['', ''],
    ['from', from],
    ['rows read', `${data.read}`],
    ['queries for training, held out', `${data.train}, ${data.test}`],
    [
      'their sha256, as rrr wrote them (data/train.jsonl, data/test.jsonl)',
      `${hashes.train}, ${hashes.test}`,
    ],
    ['failures trained on', `${failures.kept}, of ${failures.queries} queries sampled`],
  ];
}

function limits({ model, seed }: Config): string[] {
  return [
    'It was trained on one task, with these prompts and its chat template. Other tasks, prompts and languages were not tried unless the results say so.',
    'It needs a verifier: a reflection helps where a wrong answer is known to be wrong. rrr judged by program, and so should you.',
    `One training run, seed ${seed}: how another would turn out these numbers do not say.`,
    `Prompt and answer longer than ${model.max_model_len} tokens together were never seen.`,
    'First answers were never rewarded, and may have become better or worse: see the results.',
    'What the base model gets wrong, and whatever bias it has, is still there.',
  ];
}

function licence({ config, base }: CardInput): string {
  const { license, license_name, license_link } = base ?? {};
  if (!license) {
    return `The licence of ${code(shortName(config.model.name))} was not told by its card. It holds for this model, too: look it up before you publish, and add \`license\` above.`;
  }
  const name = license_name ?? license;
  return `That of the base model: ${inline(name)}${license_link ? ` (${license_link})` : ''}.`;
}
