/** The resources of a run, and the table of models, for people. */
import type { Choice, Resources } from '../protocol/planning.ts';
import { alignColumns } from '../text.ts';

const GIB = 2 ** 30;
const gib = (bytes: number) => (bytes / GIB).toFixed(1);

/** `price`: of a GPU hour. */
export function renderResources(resources: Resources, price?: number): string {
  const { assumptions, warnings } = resources;
  return [
    'It would take:',
    ...alignColumns([...memoryRows(resources), ...timeRows(resources, price)], '  '),
    '',
    ...alignColumns(stageRows(resources, price), '  '),
    '',
    'Estimated from (--assume NAME=VALUE sets one; the formulas are in docs/models.md):',
    ...alignColumns(
      assumptions.map(({ name, value, why }) => [name, `${Number(value.toPrecision(4))}`, why]),
      '  ',
    ),
    ...(warnings.length > 0 ? [''] : []),
    ...warnings.flatMap(({ message, cure, fatal }) => [
      `${fatal ? 'WARNING' : 'note'}: ${message}`,
      `cure: ${cure}`,
    ]),
  ].join('\n');
}

function memoryRows({ model, hardware, training, sampling, host, disk }: Resources): string[][] {
  const { nodes, gpus, card, room, gpu, why } = hardware;
  const { ranks, sharding, lora, micro_batch_size, moment, parts, total, fits } = training;
  const ways = [
    `${ranks} process${ranks === 1 ? '' : 'es'}`,
    ...(sharding === 'none' ? [] : [sharding]),
    ...(lora === null ? [] : [`LoRA of rank ${lora}`]),
    `micro-batch ${micro_batch_size}`,
  ];
  const { parameters } = model;
  const size =
    parameters >= 1e9
      ? `${(parameters / 1e9).toFixed(2)} billion`
      : `${(parameters / 1e6).toFixed(1)} million`;
  const each = `${nodes > 1 ? `${nodes} nodes of ` : ''}${gpus} x ${gib(card)} GiB${gpu === null ? '' : ` (${gpu})`}`;
  return [
    ['model', `${model.name}, ${size} parameters, ${model.dtype}; shape: ${model.source}`],
    ['GPUs', `${each}, of each ${gib(room)} GiB are planned with; ${why}`],
    ['training', ways.join(', ')],
    ['', `${gib(total)} GiB of each GPU at the fullest moment (${moment})${fits ? '' : ': DOES NOT FIT'}`],
    ...Object.entries(parts).map(([name, bytes]) => ['', `${gib(bytes).padStart(6)} ${name}`]),
    ...(sampling.workers > 0 ? [['sampling', samplingText(sampling)]] : [['sampling', 'by an endpoint']]),
    ['host', `${gib(host)} GiB of memory on each machine while training loads`],
    [
      'disk',
      `${gib(disk.run)} GiB: ${gib(disk.checkpoints)} checkpoints, ${gib(disk.model)} the trained model; ` +
        `${gib(disk.text)} answers; ${gib(disk.base_model)} the model from the hub`,
    ],
  ];
}

function samplingText({ workers, gpus_each, share, weights, cache_tokens }: Resources['sampling']): string {
  const where = gpus_each === 1 ? 'a GPU each' : `${gpus_each} GPUs each`;
  const tokens = cache_tokens.toLocaleString('en');
  return `${workers} worker${workers === 1 ? '' : 's'}, ${where}: ${gib(share)} GiB of it, ${gib(weights)} weights, a cache of ${tokens} tokens`;
}

function timeRows({ step, hours, gpu_hours, draws_a_query, kept }: Resources, price?: number): string[][] {
  const rows = [
    ['failures', `about ${draws_a_query.toFixed(1)} draws a query, ${kept} queries kept with a failure`],
  ];
  if (step === null || hours === null || gpu_hours === null) return rows;
  const { reflect, retry, train, update, total } = step;
  const seconds = [`reflect ${reflect.toFixed(1)}`, `retry ${retry.toFixed(1)}`, `train ${train.toFixed(1)}`];
  rows.push(['a step', `${total.toFixed(1)} s: ${seconds.join(', ')}, update ${update.toFixed(1)}`]);
  const cost = price === undefined ? '' : `, cost ${(price * gpu_hours).toFixed(0)} at ${price} a GPU hour`;
  rows.push(['in all', `${hours.toFixed(1)} hours, ${gpu_hours.toFixed(0)} GPU hours${cost}`]);
  return rows;
}

function stageRows({ stages, hardware }: Resources, price?: number): string[][] {
  const gpus = hardware.gpus * hardware.nodes;
  const head = ['stage', 'completions', 'prompt tokens', '(cached)', 'written tokens', 'hours', 'GPU hours'];
  const count = (value: number) => value.toLocaleString('en');
  const rows = stages.map(({ stage, completions, prompt_tokens, cached, completion_tokens, hours }) => [
    stage,
    ...[completions, prompt_tokens, cached, completion_tokens].map(count),
    ...(hours === null ? ['?', '?'] : [hours.toFixed(2), (hours * gpus).toFixed(1)]),
    ...(price === undefined ? [] : [hours === null ? '?' : (hours * gpus * price).toFixed(0)]),
  ]);
  return [[...head, ...(price === undefined ? [] : ['cost'])], ...rows];
}

/** Markdown: a row for each model, a column for each kind of machine. */
export function renderTable(choices: readonly Choice[]): string {
  const columns = [...new Set(choices.map(machine))];
  const models = [...new Set(choices.map(({ model }) => model))];
  const rows = models.map((model) => {
    const own = choices.filter((choice) => choice.model === model);
    const billions = ((own[0]?.parameters ?? 0) / 1e9).toFixed(1);
    return [`${model.split('/').at(-1)} (${billions} B)`, ...own.map(renderCell)];
  });
  return [['model', ...columns], columns.concat('').map(() => '---'), ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}

function machine({ nodes, gpus, card, gpu }: Choice): string {
  const name = gpu === null ? '' : ` (${gpu})`;
  return `${nodes > 1 ? `${nodes} nodes of ` : ''}${gpus} x ${Math.round(card / GIB)} GB${name}`;
}

function renderCell(choice: Choice): string {
  if (!choice.possible) return `impossible: ${(choice.least / GIB).toFixed(0)} GiB at the least`;
  const { lora, sharding, engine_sleep, needed, room, step_s } = choice;
  const way = lora ? `LoRA${lora.base_dtype === 'bfloat16' ? ' on bfloat16' : ''}` : 'all weights';
  const ways = [way, ...(sharding === 'none' ? [] : [sharding]), ...(engine_sleep ? ['engine sleeps'] : [])];
  const hours = step_s === null ? '' : `, ${((100 * step_s) / 3600).toFixed(1)} h`;
  return `estimated: ${(needed / GIB).toFixed(0)} of ${(room / GIB).toFixed(0)} GiB${hours}; ${ways.join(', ')}`;
}
