/** The report as Markdown: for a pull request, a lab book, a terminal pager. */
import type { DecodingReport, Example, Report } from './report.ts';
import { describeQuery, showCalls } from './samples/describe.ts';
import type { Document } from './several/document.ts';
import type { Table, TitledTable } from './table.ts';
import { kindTables, phraseTables, reflectionTable } from './tables/answers.ts';
import { comparisonTable, furtherTables } from './tables/comparisons.ts';
import {
  dataFacts,
  forgettingTables,
  originTables,
  PAPER_NOTE,
  paperTable,
  runFacts,
  STATISTICS_NOTE,
  trainingFacts,
} from './tables/run.ts';

export function renderMarkdown(report: Report): string {
  return [
    `# Reflect, Retry, Reward: ${inline(report.task)}`,
    report.headline,
    list(report.verdict),
    STATISTICS_NOTE,
    ...report.decodings.map(renderDecoding),
    ...forgettingTables(report).flatMap(titledTable),
    '## Run',
    ...[dataFacts(report), trainingFacts(report), runFacts(report)].map(table),
    ...(report.paper.length > 0 ? [table(paperTable(report)), PAPER_NOTE] : []),
    '### The same run again',
    block(report.origin.command),
    ...originTables(report).flatMap(titledTable),
    ...renderExamples(report.decodings[0]?.examples ?? []),
  ]
    .join('\n\n')
    .concat('\n');
}

/** Sentences and tables, such as those on several runs. */
export function renderDocumentMarkdown({ title, sentences, tables }: Document): string {
  return [`# ${inline(title)}`, list(sentences), ...tables.flatMap(titledTable)].join('\n\n').concat('\n');
}

export const list = (sentences: readonly string[]) => sentences.map((sentence) => `- ${sentence}`).join('\n');

export function titledTable({ title, table: rows, note }: TitledTable): string[] {
  return [`### ${title}`, table(rows), ...(note === undefined ? [] : [note])];
}

function renderDecoding(report: DecodingReport): string {
  return [
    `## ${report.decoding === 'greedy' ? 'Greedy decoding' : 'Sampled decoding'}`,
    table(comparisonTable(report.comparisons)),
    ...furtherTables(report).flatMap(titledTable),
    ...kindTables(report).flatMap(titledTable),
    table(reflectionTable(report)),
    ...phraseTables(report).flatMap(titledTable),
  ].join('\n\n');
}

function renderExamples(examples: readonly Example[]): string[] {
  if (examples.length === 0) return [];
  return [
    '## Examples',
    "The first of the base model's failures in the order of the data, not picked.",
    ...examples.map(renderExample),
  ];
}

function renderExample({ fields, failed, before, after }: Example): string {
  const side = (name: string, { reflection, second }: Example['before']) =>
    `Reflection ${name}:\n${block(reflection)}\n\nSecond try ${name} (${second.verdict.kind}):\n${block(showCalls(second.completion))}`;
  return [
    `### ${inline(describeQuery(fields.text).title)}`,
    `First try (${failed.verdict.kind}):\n${block(showCalls(failed.completion))}`,
    side('before', before),
    side('after', after),
  ].join('\n\n');
}

export function table([head = [], ...rows]: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

const cell = (text: string) => inline(text).replaceAll('|', '\\|');

/** One line of text with nothing in it that Markdown would take for markup. */
export function inline(text: string): string {
  return text.replace(/\s+/g, ' ').replace(/[\\`*_<[\]#]/g, '\\$&');
}

/** Text in a fence longer than any run of backticks in it. */
export function block(text: string, language = 'text'): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}${language}\n${text}\n${fence}`;
}
