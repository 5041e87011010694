/** The browser over all samples: its form and its empty places, which the page's script (page/) fills. */
import { modelLabel } from '../arms.ts';
import type { DecodingReport } from '../report.ts';
import { CHANGES } from '../samples/criteria.ts';
import type { EmbeddedIndex } from '../samples/embedded.ts';
import { type Html, html } from './tag.ts';

type Option = readonly [value: string, text: string];

export function renderSamples(
  { arms, decodings, kinds }: EmbeddedIndex,
  [report]: readonly DecodingReport[],
): Html {
  const ends: Option[] = [
    ['right', 'right'],
    ['wrong', 'wrong'],
    ...kinds.map((kind) => [kind, kind] as const),
  ];
  return html`<section id="samples"><h2>All samples</h2>
<noscript><p>To filter and read all samples takes a browser that runs the script in this page.</p></noscript>
<div id="browser" hidden>
<form role="search" aria-label="Samples">
${decodings.length > 1 ? select('decoding', 'Decoding', [['', 'any'], ...decodings.map((each) => [each, each] as const)]) : ''}
<label>From before to after<select name="change"><option value="">any</option>${(
    report?.comparisons ?? []
  ).map(
    ({ name, label }) =>
      html`<optgroup label="${label}">${CHANGES.map(([change, words]) => html`<option value="${name}.${change}">${words}${{ lost: ' (lost)', won: ' (won)' }[change as string] ?? ''}</option>`)}</optgroup>`,
  )}</select></label>
${select('arm', 'Arm', [['', 'any'], ...arms.map(({ name, label }) => [name, label] as const)])}
${select('first', 'First answer', [['', 'any'], ...ends])}
${select('last', 'Last answer', [['', 'any'], ...ends])}
${select('part', 'Where', [
  ['', 'anywhere'],
  ['first', 'first answers'],
  ['reflection', 'reflections'],
  ['retry', 'retries'],
])}
<label class="wide">Text<input type="search" name="text" autocomplete="off" spellcheck="false"></label>
<label>Tokens from<input type="number" name="from" min="0" inputmode="numeric"></label>
<label>to<input type="number" name="to" min="0" inputmode="numeric"></label>
<label class="check"><input type="checkbox" name="cut"> cut at the limit</label>
<button type="reset">Show all</button>
</form>
<p id="found" role="status"></p>
<div class="scroll" role="group" aria-label="Samples that were found" tabindex="0"><table class="texts list">
<caption>Samples that were found</caption>
<thead><tr><th scope="col">query</th><th scope="col">${modelLabel('base')}</th><th scope="col">${modelLabel('trained')}</th></tr></thead>
<tbody></tbody></table></div>
<p class="pages"><button type="button" id="fewer">← Earlier</button> <span id="page"></span> <button type="button" id="more">Later →</button></p>
<p class="note">← and → open the previous and the next sample. The address of the page is that of what it shows.</p>
<article id="sample" tabindex="-1" aria-label="The sample that is open"></article>
</div>
</section>`;
}

function select(name: string, label: string, options: readonly Option[]): Html {
  return html`<label>${label}<select name="${name}">${options.map(([value, text]) => html`<option value="${value}">${text}</option>`)}</select></label>`;
}
