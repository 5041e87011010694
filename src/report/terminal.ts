/** The report in a few lines, for the end of `rrr eval`. */
import { comparisons } from './facts.ts';
import { percent, points, pValue, range } from './format.ts';
import type { ModeReport, Report } from './report.ts';

export function renderTerminal(report: Report): string {
  return [...report.modes.map(renderMode), ...report.verdict].join('\n');
}

function renderMode(mode: ModeReport): string {
  const rows = comparisons(mode).map(
    ({ label, compared: { n, before, after, difference, interval, p_value } }) => [
      label,
      `${percent(before.rate)} % → ${percent(after.rate)} %`,
      `${points(difference)} points`,
      `[${range(interval)}]`,
      `p = ${pValue(p_value)}`,
      `n = ${n}`,
    ],
  );
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const lines = rows.map((row) =>
    `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd(),
  );
  return `${mode.mode} decoding\n${lines.join('\n')}\n`;
}
