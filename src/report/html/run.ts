/** What a page says of the run: its data and training, the paper's numbers, and where it all comes from. */
import type { Report } from '../report.ts';
import { dataFacts, originTables, PAPER_NOTE, paperTable, runFacts, trainingFacts } from '../tables/run.ts';
import { table } from './parts.ts';
import { type Html, html } from './tag.ts';

export function renderRun(report: Report): Html {
  const facts = [
    { title: 'Data', table: dataFacts(report) },
    { title: 'Training', table: trainingFacts(report) },
    { title: 'Run', table: runFacts(report) },
  ];
  const [changes, prompts, files] = originTables(report);
  return html`<section id="run"><h2>Run</h2>
${facts.map((each) => table(each, { kind: 'facts' }))}
${report.paper.length > 0 ? table({ title: 'The paper', table: paperTable(report), note: PAPER_NOTE }) : ''}
<h3>The same run again</h3>
<pre>${report.origin.command}</pre>
${[changes, prompts, files].map((each) => (each ? table(each, { kind: 'texts' }) : ''))}
<details><summary>Resolved configuration</summary><pre>${JSON.stringify(report.config, null, 2)}</pre></details>
</section>`;
}
