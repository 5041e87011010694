/** How a trained model is served and asked: the part of its card that is run. */
import type { Config } from '../config/schema.ts';
import type { PrepareResult } from '../protocol/methods.ts';
import { block } from './markdown.ts';

export interface UsageInput {
  /** With adapter: of train/adapter, else of train/model. */
  kind: 'model' | 'adapter';
  /** The run's config, as it was trained. */
  config: Config;
  data: Pick<PrepareResult, 'prompts'>;
}

export function usage(input: UsageInput): string[] {
  return [
    'Serve it with vLLM (`MODEL` is this folder, or its id on the hub):',
    block(serve(input), 'sh'),
    'Ask it as it was trained: try, reflect, retry. `reflect_retry` is in `rrr_workers`, the Python package in the folder `workers` of rrr; it needs neither torch nor vLLM.',
    block(ask(input), 'python'),
    ...(input.config.task.name === 'function_calling'
      ? [
          'Give it the tools by `tools=[...]` where its chat template knows tools (`preamble` is then empty), and start the server without a parser for tool calls, so that the verifier sees what was written.',
        ]
      : []),
  ];
}

/** What vLLM takes for --max-lora-rank. */
const LORA_RANKS = [1, 8, 16, 32, 64, 128, 256, 320, 512];

function serve({ kind, config }: UsageInput): string {
  const { model } = config;
  const dtype = model.dtype === 'auto' ? '' : ` --dtype ${model.dtype}`;
  const options = `--max-model-len ${model.max_model_len}${dtype}`;
  if (kind === 'model') return `vllm serve MODEL --served-model-name reflecting ${options}`;
  const base = model.name.startsWith('/') ? 'BASE_MODEL' : model.name;
  const rank = config.train.lora?.rank ?? 1;
  const room = LORA_RANKS.find((most) => most >= rank) ?? rank;
  return `vllm serve ${base} --enable-lora --max-lora-rank ${room} --lora-modules reflecting=MODEL ${options}`;
}

function ask({ config, data }: UsageInput): string {
  const { question = '', reflection = '', retry = '', system } = data.prompts;
  const { temperature, top_p, max_answer_tokens, max_reflection_tokens } = config.sampling;
  const fields = [...new Set([question, reflection, retry, system].flatMap(placeholders))];
  const systemMessage = system ? `{"role": "system", "content": ${text(system)}.format(**fields)}, ` : '';
  return `from openai import OpenAI
from rrr_workers.api import reflect_retry

client = OpenAI(base_url="http://localhost:8000/v1", api_key="none")
fields = {${fields.map((name) => `${text(name)}: ...`).join(', ')}}
question = ${text(question)}.format(**fields)

done = reflect_retry(
    client,
    "reflecting",
    [${systemMessage}{"role": "user", "content": question}],
    verify,  # yours: text of an answer -> True or False
    reflection_prompt=${text(reflection)}.format(**fields),
    retry_prompt=${text(retry)}.format(**fields),
    max_answer_tokens=${max_answer_tokens},
    max_reflection_tokens=${max_reflection_tokens},
    temperature=${temperature},
    top_p=${top_p},
)
print(done.passed, done.answer)`;
}

/** A JSON string is one of Python, too. */
const text = (value: string | null) => JSON.stringify(value ?? '');

function placeholders(template: string | null | undefined): string[] {
  const bare = (template ?? '').replaceAll('{{', '').replaceAll('}}', '');
  return [...bare.matchAll(/\{(\w+)\}/g)].map(([, name]) => name as string);
}
