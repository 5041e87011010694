/** The report as one self-contained HTML page: no scripts, no fonts, nothing loaded from anywhere. */
import { drawKl, drawReflectionLengths, drawShares, drawTrainingCurve } from './charts.ts';
import {
  comparisonTable,
  dataFacts,
  forgettingTables,
  furtherTables,
  kindTables,
  PAPER_NOTE,
  paperTable,
  reflectionTable,
  runFacts,
  STATISTICS_NOTE,
  trainingFacts,
} from './facts.ts';
import { percent, points, pValue } from './format.ts';
import { type Html, html, trusted } from './html-tag.ts';
import { outcomeOf } from './outcome.ts';
import type { DecodingReport, Example, Report } from './report.ts';
import type { Document } from './several/document.ts';
import { STYLE } from './style.ts';
import type { Table, TitledTable } from './table.ts';

export function renderHtml(report: Report): string {
  const { steps } = report.training;
  return page(
    report.task,
    html`<header>
<p class="kicker">Reflect, Retry, Reward${report.reward === 'shuffled' ? ' · control: shuffled reward' : ''}</p>
<h1>${report.task}</h1>
<p class="models"><code>${report.models.base}</code></p>
</header>
<main>
<section class="verdict"><ul>${report.verdict.map((sentence) => html`<li>${sentence}</li>`)}</ul>
<p class="note">${STATISTICS_NOTE}</p></section>
${report.decodings.map(renderDecoding)}
${
  steps.length === 0
    ? ''
    : html`<section><h2>Training</h2>
${chart('Second tries that passed, by step', drawTrainingCurve(steps))}
${chart('Length of the reflections, by step', drawReflectionLengths(steps))}
${chart('KL divergence from the base model, by step', drawKl(steps))}
</section>`
}
${forgettingTables(report).map(titledTable)}
<section><h2>Reflections before and after</h2>
<p>The first of the base model's failures in the order of the data, not picked. Both models reflect on the same failed answer.</p>
${(report.decodings[0]?.examples ?? []).map(renderExample)}
</section>
<section><h2>Run</h2>
${[dataFacts(report), trainingFacts(report), runFacts(report)].map((facts) => table(facts, 'facts'))}
${report.paper.length > 0 ? [table(paperTable(report)), html`<p class="note">${PAPER_NOTE}</p>`] : ''}
<details><summary>Resolved configuration</summary><pre>${JSON.stringify(report.config, null, 2)}</pre></details>
</section>
</main>
<footer>Every number here follows from the files of the run: <code>rrr report RUN</code> counts them again.</footer>`,
  );
}

/** Sentences and tables, such as those on several runs. */
export function renderDocumentHtml({ title, sentences, tables }: Document): string {
  return page(
    title,
    html`<header>
<p class="kicker">Reflect, Retry, Reward</p>
<h1>${title}</h1>
</header>
<main>
<section class="verdict"><ul>${sentences.map((sentence) => html`<li>${sentence}</li>`)}</ul></section>
${tables.map(titledTable)}
</main>`,
  );
}

function page(title: string, body: Html): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>rrr: ${title}</title>
<style>${trusted(STYLE)}</style>
</head>
<body>
${body}
</body>
</html>
`.text;
}

function titledTable({ title, table: rows, note }: TitledTable): Html {
  return html`<h3>${title}</h3>${table(rows)}${note === undefined ? '' : html`<p class="note">${note}</p>`}`;
}

function renderDecoding(report: DecodingReport): Html {
  const { decoding, comparisons } = report;
  return html`<section><h2>${decoding === 'greedy' ? 'Greedy decoding' : 'Sampled decoding'}</h2>
<div class="cards">${comparisons.map(
    (comparison) => html`<div class="card ${outcomeOf(comparison).split(' ')[0] ?? ''}">
<p>${comparison.label}</p>
<p class="big">${percent(comparison.result.before.rate)} <span>→</span> ${percent(comparison.result.after.rate)} %</p>
<p>${points(comparison.result.difference)} points: ${outcomeOf(comparison)}, Holm p = ${pValue(comparison.adjusted_p)}, n = ${comparison.result.n}</p>
</div>`,
  )}</div>
${chart(
  `Share passed before and after training, with 95 % intervals, ${decoding} decoding`,
  drawShares(
    decoding,
    comparisons.map(({ label, result }) => ({ label, before: result.before, after: result.after })),
  ),
)}
${table(comparisonTable(report.comparisons))}
${furtherTables(report).map(titledTable)}
${table(reflectionTable(report))}
<div class="columns">
${kindTables(report).map(({ title, table: rows }) => html`<div><h3>Verdicts, ${title}</h3>${table(rows)}</div>`)}
</div>
</section>`;
}

function chart(title: string, svg: string): Html {
  return html`<figure aria-label="${title}">${trusted(svg)}<figcaption>${title}</figcaption></figure>`;
}

function table([head = [], ...rows]: Table, style = 'numbers'): Html {
  return html`<div class="scroll"><table class="${style}">
<thead><tr>${head.map((cell) => html`<th>${cell}</th>`)}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${row.map((cell) => html`<td>${cell}</td>`)}</tr>`)}</tbody>
</table></div>`;
}

function renderExample({ fields, failed, before, after }: Example): Html {
  const side = (name: string, { reflection, second }: Example['before']) => html`<div>
<h4>Reflection ${name}</h4><pre>${reflection}</pre>
<h4>Second try ${name} ${badge(second.verdict)}</h4><pre>${second.completion}</pre>
</div>`;
  return html`<article>
<h3><code>${fields.text}</code></h3>
<h4>First try of the base model ${badge(failed.verdict)}</h4><pre>${failed.completion}</pre>
<div class="sides">${side('before', before)}${side('after', after)}</div>
</article>`;
}

function badge({ passed, kind }: Example['failed']['verdict']): Html {
  return html`<span class="badge ${passed ? 'gain' : 'loss'}">${kind}</span>`;
}
