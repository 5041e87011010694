import type { Example } from '../report.ts';
import { describeQuery, showCalls } from '../samples/describe.ts';
import { badge } from './parts.ts';
import { type Html, html } from './tag.ts';

export function renderExamples(examples: readonly Example[]): Html | '' {
  if (examples.length === 0) return '';
  return html`<section id="examples"><h2>Reflections before and after</h2>
<p>The first of the base model's failures in the order of the data, not picked. Both models reflect on the same failed answer.</p>
${examples.map(renderExample)}
</section>`;
}

function renderExample({ fields, failed, before, after }: Example): Html {
  const side = (name: string, { reflection, second }: Example['before']) => html`<div>
<h4>Reflection ${name}</h4><pre>${reflection}</pre>
<h4>Second try ${name} ${badge(second.verdict)}</h4><pre>${showCalls(second.completion)}</pre>
</div>`;
  return html`<article>
<h3><code>${describeQuery(fields.text).title}</code></h3>
<h4>First try of the base model ${badge(failed.verdict)}</h4><pre>${showCalls(failed.completion)}</pre>
<div class="sides">${side('before', before)}${side('after', after)}</div>
</article>`;
}
