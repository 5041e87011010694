/** `rrr task check`: a task's prompts and verdicts on its own rows, before a run depends on them. */
import { checkTask } from '../inspect/question.ts';
import type { TaskCheckResult } from '../protocol/methods.ts';
import { showPath } from '../terminal/command-line.ts';
import type { Context, Outcome } from '../terminal/context.ts';
import { type ConfigOptions, requireConfig } from '../terminal/require-config.ts';
import { clip } from '../text.ts';

export interface TaskCheckOptions extends ConfigOptions {
  rows: number;
}

/** Exit code 2 when the task, or its data, is not usable. */
export async function runTaskCheck(
  context: Context,
  task: string | undefined,
  options: TaskCheckOptions,
): Promise<Outcome> {
  const named = task === undefined ? [] : [`task.name=${task}`];
  const config = requireConfig(context, { ...options, set: [...(options.set ?? []), ...named] });
  const result = await checkTask(options.rows, { config, signal: context.signal });
  const text = render(result).replaceAll(config.data.path ?? '\0', (path) => showPath(path, context.cwd));
  return { text, json: result, exitCode: result.problems.length === 0 ? 0 : 2 };
}

type Row = TaskCheckResult['rows'][number];
type Check = Row['checks'][number];

const SHOWN = 60;

function render({ task, rows, bad_rows, problems, notes }: TaskCheckResult): string {
  const verdicts = rows.flatMap(({ checks }) => checks);
  const count = (source: Check['source']) => verdicts.filter((check) => check.source === source).length;
  return [
    ...rows.map(renderRow),
    ...problems.map(
      ({ place, message, cure }, index) => `problem ${index + 1}: ${place}: ${message}\n  cure: ${cure}\n`,
    ),
    ...notes.map((note) => `note: ${note}\n`),
    `task ${task}: ${rows.length} rows (${bad_rows.length} refused), ${verdicts.length} verdicts, ` +
      `${count('reference')} on reference answers and ${count('corrupted')} on corrupted ones: ` +
      (problems.length === 0 ? 'it holds' : `${problems.length} problem${problems.length === 1 ? '' : 's'}`),
  ].join('\n');
}

function renderRow({ place, prompt, checks }: Row): string {
  const messages = prompt.map(({ role, content }) => `  ${role}: ${content.replaceAll('\n', '\n    ')}`);
  return [place, ...messages, ...checks.map(renderCheck), ''].join('\n');
}

function renderCheck({ ok, source, answer, kind, detail }: Check): string {
  const shown = clip(JSON.stringify(answer), SHOWN);
  const verdict = detail ? `${kind} (${detail})` : kind;
  return `  ${ok ? 'ok ' : 'BAD'}  ${source.padEnd(9)}  ${shown}  ->  ${verdict}`;
}
