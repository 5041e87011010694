/** The parts that pages are put together from. */
import { toHash } from '../samples/criteria.ts';
import type { TitledTable } from '../table.ts';
import { type Html, html, trusted } from './tag.ts';

/** `about` says in words what the chart shows. */
export function chart(title: string, svg: string, about: string): Html {
  return html`<figure>${trusted(svg)}<figcaption>${title}${about === '' ? '' : `: ${about}`}</figcaption></figure>`;
}

export interface TableStyle {
  /** numbers: a column each; facts: a name and what it is; texts: columns of text. */
  kind?: 'numbers' | 'facts' | 'texts';
  /** Whether numbers are links to the samples behind them. */
  links?: boolean;
}

export function table(
  { title, table: [head = [], ...rows], note, samples, bars }: TitledTable,
  { kind = 'numbers', links = false }: TableStyle = {},
): Html {
  const cell = (text: string, row: number, column: number) => {
    const criteria = links ? (samples?.[row]?.[column] ?? null) : null;
    const share = bars?.[row]?.[column] ?? null;
    return html`${share === null ? '' : bar(share)}${criteria && text !== '0' ? html`<a href="${toHash(criteria)}">${text}</a>` : text}`;
  };
  return html`<div class="scroll" role="group" aria-label="${title}" tabindex="0"><table class="${kind}">
<caption>${title}</caption>
${kind === 'facts' ? '' : html`<thead><tr>${head.map((text) => (text === '' ? html`<td></td>` : html`<th scope="col">${text}</th>`))}</tr></thead>`}
<tbody>${rows.map(
    ([first = '', ...others], row) =>
      html`<tr><th scope="row">${first}</th>${others.map((text, column) => html`<td>${cell(text, row, column + 1)}</td>`)}</tr>`,
  )}</tbody>
</table></div>${note === undefined ? '' : html`<p class="note">${note}</p>`}`;
}

function bar(share: number): Html {
  return html`<span class="bar" style="width:${(100 * share).toFixed(1)}%"></span>`;
}

export function badge({ passed, kind }: { passed: boolean; kind: string }): Html {
  return html`<span class="badge ${passed ? 'gain' : 'loss'}">${passed ? '✓' : '✗'} ${kind}</span>`;
}
