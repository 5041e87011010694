/** The report as Markdown: for a pull request, a lab book, a terminal pager. */
import {
  comparisonTable,
  dataFacts,
  kindTable,
  PAPER_NOTE,
  paperTable,
  reflectionTable,
  runFacts,
  type Table,
  trainingFacts,
} from './facts.ts';
import type { Example, ModeReport, Report } from './report.ts';

export function renderMarkdown(report: Report): string {
  return [
    `# Reflect, Retry, Reward: ${inline(report.task)}`,
    report.verdict.map((sentence) => `- ${sentence}`).join('\n'),
    ...report.modes.map(renderMode),
    '## Run',
    ...[dataFacts(report), trainingFacts(report), runFacts(report)].map(table),
    ...(report.paper.length > 0 ? [table(paperTable(report)), PAPER_NOTE] : []),
    '## Examples',
    "The first of the base model's failures in the order of the data, not picked.",
    ...(report.modes[0]?.examples ?? []).map(renderExample),
  ]
    .join('\n\n')
    .concat('\n');
}

function renderMode(mode: ModeReport): string {
  return [
    `## ${mode.mode === 'greedy' ? 'Greedy decoding' : 'Sampled decoding'}`,
    table(comparisonTable(mode)),
    table(reflectionTable(mode)),
    '### Verdicts of the first try',
    table(kindTable(mode.first_try_kinds)),
    "### Verdicts of the second try on the base model's failures",
    table(kindTable(mode.second_try_kinds)),
  ].join('\n\n');
}

function renderExample({ fields, failed, before, after }: Example): string {
  const side = (name: string, { reflection, second }: Example['before']) =>
    `Reflection ${name}:\n${block(reflection)}\n\nSecond try ${name} (${second.verdict.kind}):\n${block(second.completion)}`;
  return [
    `### ${inline(JSON.stringify(fields))}`,
    `First try (${failed.verdict.kind}):\n${block(failed.completion)}`,
    side('before', before),
    side('after', after),
  ].join('\n\n');
}

function table([head = [], ...rows]: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

const cell = (text: string) => inline(text).replaceAll('|', '\\|');

/** One line of text with nothing in it that Markdown would take for markup. */
function inline(text: string): string {
  return text.replace(/\s+/g, ' ').replace(/[\\`*_<[\]#]/g, '\\$&');
}

/** Model text in a fence longer than any run of backticks in it. */
function block(text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}text\n${text}\n${fence}`;
}
