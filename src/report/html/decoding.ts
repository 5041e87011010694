/** What a page says of one decoding. */
import { drawHistogram, drawShares } from '../charts/bars.ts';
import { percent, points, pValue } from '../format.ts';
import { outcomeOf } from '../outcome.ts';
import type { ComparisonReport, DecodingReport, Histogram } from '../report.ts';
import { kindTables, phraseTables, reflectionTable } from '../tables/answers.ts';
import { comparisonTable, furtherTables } from '../tables/comparisons.ts';
import { chart, table } from './parts.ts';
import { type Html, html } from './tag.ts';

/** `links`: the page has the samples that the numbers lead to. */
export function renderDecoding(report: DecodingReport, links: boolean): Html {
  const { decoding, comparisons } = report;
  return html`<section id="${decoding}"><h2>${decoding === 'greedy' ? 'Greedy decoding' : 'Sampled decoding'}</h2>
${table({ title: 'Before and after training', table: comparisonTable(comparisons) })}
${chart(
  `Share passed before and after training, with 95 % intervals, ${decoding} decoding`,
  drawShares(
    decoding,
    comparisons.map(({ label, result }) => ({ label, before: result.before, after: result.after })),
  ),
  '',
)}
${furtherTables(report).map((each) => table(each, { links }))}
<h3>Errors</h3>
<div class="columns">${kindTables(report).map((each) => html`<div>${table(each, { links })}</div>`)}</div>
<h3>Reflections</h3>
${table({ title: 'Reflections on the same failures', table: reflectionTable(report) })}
${phraseTables(report).map((each) => table(each, { links }))}
<h3>Lengths</h3>
<div class="columns">${report.lengths.map((lengths, index) =>
    chart(
      `${lengths.title}, tokens`,
      drawHistogram(`${decoding}-lengths-${index}`, lengths),
      describeLengths(lengths),
    ),
  )}</div>
</section>`;
}

/** The main numbers in a few cards. */
export function renderCards({ decoding, comparisons }: DecodingReport): Html {
  return html`<div class="cards">${comparisons.map((each) => renderCard(decoding, each))}</div>`;
}

function renderCard(decoding: string, comparison: ComparisonReport): Html {
  const { label, result, adjusted_p } = comparison;
  const outcome = outcomeOf(comparison);
  const mark = { gain: '▲', loss: '▼', 'no change shown': '' }[outcome];
  return html`<div class="card ${outcome.split(' ')[0] ?? ''}">
<p>${label}, ${decoding}</p>
<p class="big">${percent(result.before.rate)} <span>→</span> ${percent(result.after.rate)} %</p>
<p>${mark === '' ? '' : `${mark} `}${points(result.difference)} points: ${outcome}</p>
<p>Holm p = ${pValue(adjusted_p)}, n = ${result.n}</p>
</div>`;
}

function describeLengths({ width, before, after }: Histogram): string {
  const most = ({ n, bins }: Histogram['before']) => {
    const highest = bins.reduce((best, count, bin) => (count > (bins[best] as number) ? bin : best), 0);
    const to = (highest + 1) * width - 1;
    const range = width === 1 ? `${highest}` : `${highest * width} to ${to}`;
    return n === 0 ? 'none' : `${range} (${percent((bins[highest] as number) / n)} %)`;
  };
  return `most often ${most(before)} before, ${most(after)} after`;
}
