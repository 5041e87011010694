/** `rrr init`: a config for a model, a task and the GPUs that there are, with the reason of each choice. */
import { existsSync, writeFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseConfig } from '../config/load.ts';
import { isPaperTask, PAPER_MODELS, presetText, type Settings } from '../config/preset.ts';
import { renderProblems } from '../config/render.ts';
import type { Config } from '../config/schema.ts';
import { UserError } from '../errors.ts';
import { chooseSettings } from '../inspect/question.ts';
import { showPath } from '../terminal/command-line.ts';
import type { Context, Outcome } from '../terminal/context.ts';
import { resolveUserPath } from '../user-path.ts';

export interface InitOptions {
  model: string;
  task: string;
  gpus?: string;
  nodes: number;
  data?: string;
  out?: string;
}

const SCHEMA = fileURLToPath(new URL('../../configs/schema.json', import.meta.url));

export async function runInit(context: Context, options: InitOptions): Promise<Outcome> {
  const { cwd, signal, stderr } = context;
  const { gpus = null, nodes } = options;
  const out = options.out === undefined ? undefined : resolveUserPath(cwd, options.out);
  if (out !== undefined && existsSync(out))
    throw new UserError(`${options.out} is there already`, { cure: 'name another file with --out' });
  const folder = out === undefined ? cwd : dirname(out);
  const written = writtenFrom(folder, context, options);
  const file = options.out ?? 'the config';
  const draft = requireParsed(file, presetText(written), folder);
  const asked = { models: [draft.model.name], hardware: [{ gpus, nodes }], fetch: true };
  const [choice] = await chooseSettings(asked, { config: draft, signal });
  if (!choice?.possible) {
    throw new UserError(`${options.model} can't be trained on these GPUs: ${choice?.reason}`, {
      cure: 'a smaller model, more or larger GPUs (rrr plan --table), or an endpoint that serves it: eval.baselines',
    });
  }
  const settings: Settings = choice;
  const text = heading(folder, context, options) + presetText({ ...written, settings });
  requireParsed(file, text, folder);
  const reasons = Object.entries(choice.reasons).map(([key, reason]) => `  ${key}: ${reason}`);
  const on = `${choice.nodes > 1 ? `${choice.nodes} nodes of ` : ''}${choice.gpus} x ${Math.round(choice.card / 2 ** 30)} GiB`;
  stderr.write(`${options.model} (${choice.source}) on ${on}:\n${reasons.join('\n')}\n`);
  const json = { file: out ?? null, config: text, choice };
  if (out === undefined) return { text: text.trimEnd(), json };
  writeFileSync(out, text, { flag: 'wx' });
  return { text: `wrote ${showPath(out, cwd)}\nnext: rrr plan -c ${showPath(out, cwd)}`, json };
}

/** Model, task and data as a config in `folder` writes them. */
function writtenFrom(folder: string, { cwd }: Context, { model, task, data }: InitOptions) {
  const from = (path: string) => {
    const short = relative(folder, resolveUserPath(cwd, path));
    return short.startsWith('.') ? short : `./${short}`;
  };
  const isPath = (text: string) => /^(\.{1,2}\/|\/|~)/.test(text);
  if (!isPaperTask(task)) {
    if (!task.includes(':')) {
      throw new UserError(`there is no task ${task} to write a config for`, {
        cure: `name one of ${Object.keys(PAPER_MODELS).join(', ')}, path/to/file.py:Class or package.module:Class`,
      });
    }
    if (data === undefined)
      throw new UserError(`which data ${task} is for is not known`, {
        cure: 'name a JSONL file with --data',
      });
  }
  return {
    model: isPath(model) ? from(model) : model,
    task: /\.py:/.test(task) ? from(task) : task,
    ...(data !== undefined && { data: from(data) }),
  };
}

function heading(folder: string, { args }: Context, { out, gpus, nodes }: InitOptions): string {
  const file = out ?? 'FILE';
  const cards = gpus === undefined ? '' : ` --gpus ${gpus}${nodes > 1 ? ` --nodes ${nodes}` : ''}`;
  return [
    `# yaml-language-server: $schema=${relative(folder, SCHEMA)}`,
    `# Written by: rrr ${args.join(' ')}`,
    "# What isn't written here has its default, the paper's where it says. A line above a setting says why it is so.",
    `#   rrr plan -c ${file}${cards}   what the run takes: GPUs, memory, disk, hours`,
    `#   rrr run -c ${file} --smoke   all of it with a tiny model on the CPU`,
    `#   rrr run -c ${file}`,
    '',
  ].join('\n');
}

/** Throws UserError: the model or a file that the user named may not be there. */
function requireParsed(file: string, text: string, folder: string): Config {
  const { config, problems } = parseConfig({
    file: resolve(folder, 'init.yaml'),
    text,
    sets: [],
    cwd: folder,
  });
  if (config) return config;
  throw new UserError(`${file} would not be a config`, {
    details: problems.map(({ key, message, cure }) => `\n${renderProblems([{ key, message, cure }])}`),
  });
}
