/** The report in a few lines, for the end of `rrr eval`. */
import { alignColumns } from '../text.ts';
import { percent, points, pValue, range } from './format.ts';
import type { DecodingReport, Report } from './report.ts';

export function renderTerminal(report: Report): string {
  return [...report.decodings.map(renderDecoding), ...report.verdict].join('\n');
}

function renderDecoding({ decoding, comparisons }: DecodingReport): string {
  const rows = comparisons.map(({ label, result: { n, before, after, difference, interval, p_value } }) => [
    label,
    `${percent(before.rate)} % → ${percent(after.rate)} %`,
    `${points(difference)} points`,
    `[${range(interval)}]`,
    `p = ${pValue(p_value)}`,
    `n = ${n}`,
  ]);
  return `${decoding} decoding\n${alignColumns(rows, '  ').join('\n')}\n`;
}
