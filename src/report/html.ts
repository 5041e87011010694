/** The report as one self-contained HTML page. */
import { readFileSync } from 'node:fs';
import { renderCards, renderDecoding } from './html/decoding.ts';
import { renderExamples } from './html/examples.ts';
import { page } from './html/page.ts';
import { table } from './html/parts.ts';
import { renderRun } from './html/run.ts';
import { renderSamples } from './html/samples.ts';
import { html } from './html/tag.ts';
import { renderTraining } from './html/training.ts';
import type { Report } from './report.ts';
import type { Embedded } from './samples/embed.ts';
import { forgettingTables, STATISTICS_NOTE } from './tables/run.ts';

const TOO_MANY = 'The samples are more than a page holds: samples.csv and samples.parquet have them all.';

/** `samples`: null for a report that shows none, or where they are too many. */
export function renderHtml(report: Report, samples: Embedded | null): string {
  const { decodings, forgetting } = report;
  const examples = decodings[0]?.examples ?? [];
  const places: (readonly [id: string, name: string])[] = [
    ...decodings.map(({ decoding }) => [decoding, `${decoding} decoding`] as const),
    ...(report.training.steps.length > 0 ? [['training', 'training'] as const] : []),
    ...(forgetting.length > 0 ? [['forgetting', 'forgetting'] as const] : []),
    ...(samples ? [['samples', 'all samples'] as const] : []),
    ...(examples.length > 0 ? [['examples', 'examples'] as const] : []),
    ['run', 'run'],
  ];
  return page(
    report.task,
    html`<header>
<p class="kicker">Reflect, Retry, Reward${report.reward === 'shuffled' ? ' · control: shuffled reward' : ''}</p>
<h1>${report.task}</h1>
<p class="models"><code>${report.models.base}</code></p>
<nav aria-label="Parts of this report">${places.map(([id, name]) => html`<a href="#${id}">${name}</a> `)}</nav>
</header>
<main>
<p class="lead">${report.headline}</p>
${decodings.map(renderCards)}
<section class="verdict"><ul>${report.verdict.map((sentence) => html`<li>${sentence}</li>`)}</ul>
<p class="note">${STATISTICS_NOTE}</p></section>
${decodings.map((decoding) => renderDecoding(decoding, samples !== null))}
${renderTraining(report.training.steps)}
${forgetting.length > 0 ? html`<section id="forgetting"><h2>Forgetting</h2>${forgettingTables(report).map((each) => table(each))}</section>` : ''}
${samples ? renderSamples(samples.index, decodings) : decodings[0]?.phrases ? html`<p class="note">${TOO_MANY}</p>` : ''}
${renderExamples(examples)}
${renderRun(report)}
</main>
<footer>Every number here follows from the files of the run: <code>rrr report RUN</code> counts them again.</footer>`,
    samples ? { script: pageScript(), data: samples.data } : {},
  );
}

/** What `npm run build` made of page/main.ts. */
function pageScript(): string {
  return readFileSync(new URL('../../dist/page.js', import.meta.url), 'utf8').trim();
}
