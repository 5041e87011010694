/** Sentences, charts and tables on several runs as one page. */
import { drawShares } from '../charts/bars.ts';
import { page } from '../html/page.ts';
import { chart, table } from '../html/parts.ts';
import { html } from '../html/tag.ts';
import type { Document } from './document.ts';

export function renderDocumentHtml({ title, sentences, charts, tables }: Document): string {
  return page(
    title,
    html`<header>
<p class="kicker">Reflect, Retry, Reward</p>
<h1>${title}</h1>
</header>
<main>
<section class="verdict"><ul>${sentences.map((sentence) => html`<li>${sentence}</li>`)}</ul></section>
<div class="columns">${charts.map(({ title, groups }, index) => chart(title, drawShares(`chart-${index}`, groups), ''))}</div>
${tables.map((each) => table(each))}
</main>`,
  );
}
