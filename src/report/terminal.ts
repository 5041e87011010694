/** The report in a few lines, for the end of `rrr eval`. */
import { alignColumns } from '../text.ts';
import { percent, points, pValue, range } from './format.ts';
import type { DecodingReport, Report } from './report.ts';

export function renderTerminal(report: Report): string {
  const { decodings, headline, progress, verdict } = report;
  return [...(progress ? [headline, ''] : []), ...decodings.map(renderDecoding), ...verdict].join('\n');
}

function renderDecoding({ decoding, comparisons }: DecodingReport): string {
  const rows = comparisons.map(
    ({ label, adjusted_p, result: { n, before, after, difference, interval } }) => [
      label,
      `${percent(before.rate)} % → ${percent(after.rate)} %`,
      `${points(difference)} points`,
      `[${range(interval)}]`,
      `Holm p = ${pValue(adjusted_p)}`,
      `n = ${n}`,
    ],
  );
  return `${decoding} decoding\n${alignColumns(rows, '  ').join('\n')}\n`;
}
