/** The look of a page: light, dark, narrow and printed. */
import { COLOURS } from '../charts/draw.ts';

const LIGHT =
  '--ink: #1c2330; --soft: #535c6d; --paper: #fbfbf9; --card: #fff; --line: #dfe3e8; --gain: #0b7072; --loss: #a93a25; --tint: #8d99ae40;';
const DARK =
  '--ink: #e6e9ee; --soft: #a4aebd; --paper: #14181f; --card: #1c222b; --line: #2e3743; --gain: #4cc9cb; --loss: #f0917b; --tint: #8d99ae55;';

export const STYLE = `
:root { color-scheme: light dark; --base: ${COLOURS.before}; ${LIGHT} }
@media (prefers-color-scheme: dark) { :root { ${DARK} } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 62rem; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; overflow-wrap: break-word; }
a { color: var(--gain); }
:focus-visible { outline: 3px solid var(--gain); outline-offset: 2px; }
header { border-bottom: 3px solid var(--gain); margin-bottom: 1.5rem; }
nav { margin: .5rem 0 .75rem; font-size: .9rem; }
nav a { display: inline-block; margin-right: .9rem; }
.kicker { margin: 0; color: var(--gain); font-weight: 600; letter-spacing: .03em; }
h1 { margin: .1em 0; font-size: 2.2rem; line-height: 1.15; }
h2 { margin: 2.75rem 0 1rem; font-size: 1.45rem; }
h3 { margin: 1.75rem 0 .5rem; font-size: 1.1rem; }
h4 { margin: .75rem 0 .25rem; font-size: .85rem; color: var(--soft); font-weight: 600; }
.models, .note, figcaption, footer { color: var(--soft); font-size: .85rem; }
.lead { font-size: 1.45rem; line-height: 1.35; margin: 1.25rem 0; font-weight: 600; }
.verdict { font-size: .93rem; margin-top: 1.25rem; background: var(--card); border: 1px solid var(--line); border-left: 4px solid var(--gain); border-radius: 8px; padding: .35rem 1rem; }
.verdict ul { padding-left: 1.1rem; }
.verdict li { margin: .4rem 0; }
.cards { margin: .9rem 0; display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: .9rem; }
.card { background: var(--card); border: 1px solid var(--line); border-top: 4px solid var(--base); border-radius: 8px; padding: .75rem 1rem; }
.card.gain { border-top-color: var(--gain); }
.card.loss { border-top: 4px dashed var(--loss); }
.card p { margin: 0; color: var(--soft); font-size: .88rem; }
.card .big { margin: .15rem 0; color: var(--ink); font-size: 1.6rem; font-weight: 650; font-variant-numeric: tabular-nums; }
.big span { color: var(--soft); font-weight: 400; }
figure { margin: 1.25rem 0; max-width: 34rem; }
figure svg { display: block; width: 100%; height: auto; }
figcaption { text-align: center; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(21rem, 100%), 1fr)); gap: 0 1.75rem; align-items: start; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: .25rem 0; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top; }
thead th { color: var(--soft); font-weight: 600; }
tbody th { font-weight: 400; }
th:first-child, td:first-child, .texts th, .texts td, .facts td { text-align: left; }
.facts td, .texts td, .texts th { overflow-wrap: anywhere; }
.texts td { white-space: pre-wrap; font-family: ui-monospace, monospace; font-size: .8rem; }
.facts th { width: 45%; }
details { font-size: .85rem; }
.numbers td { position: relative; white-space: nowrap; }
.bar { position: absolute; inset: 2px auto 2px 0; max-width: 100%; background: var(--tint); border-left: 2px solid var(--base); print-color-adjust: exact; }
.bar ~ a { position: relative; }
article:empty { display: none; }
article > h3 { margin-top: .75rem; }
article { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .25rem 1rem 1rem; margin: 1rem 0; }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(17rem, 100%), 1fr)); gap: 0 1.25rem; }
pre, code { font: .82rem/1.45 ui-monospace, monospace; overflow-wrap: anywhere; }
pre { margin: 0; padding: .5rem .7rem; background: var(--paper); border: 1px solid var(--line); border-radius: 6px; white-space: pre-wrap; }
.badge { display: inline-block; padding: 0 .45rem; border-radius: 99px; border: 1px solid currentColor; font-weight: 500; }
.badge.gain { color: var(--gain); }
.badge.loss { color: var(--loss); border-style: dashed; }
details { margin-top: 1rem; }
footer { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: .75rem; }
form { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .6rem .9rem; align-items: end; }
label { display: grid; gap: .15rem; font-size: .85rem; color: var(--soft); }
label.check { display: flex; align-items: center; gap: .35rem; min-height: 2.1rem; }
.wide { grid-column: span 2; }
input, select, button { font: inherit; font-size: .9rem; color: var(--ink); background: var(--card); border: 1px solid var(--soft); border-radius: 6px; padding: .3rem .5rem; min-width: 0; }
input:not([type=checkbox]), select { width: 100%; }
button { cursor: pointer; }
button:disabled { opacity: .55; cursor: default; }
.list tbody th a { font-family: ui-monospace, monospace; font-size: .8rem; }
.list tr[aria-current] { background: var(--card); box-shadow: inset 4px 0 var(--gain); }
.pages { display: flex; justify-content: space-between; align-items: center; gap: 1rem; }
#found { font-weight: 600; }
@media (max-width: 40rem) {
body { padding: 1rem 1rem 3rem; }
table { font-size: .8rem; }
.numbers td { white-space: normal; }
.numbers td:nth-child(-n + 3) { min-width: 4.3rem; }
.numbers td:nth-child(n + 5) { white-space: nowrap; }
th, td { padding: .3rem .25rem; }
}
@page { size: A4; margin: 12mm; }
@media print {
:root { color-scheme: light; ${LIGHT} }
body { max-width: none; padding: 0; font-size: 10pt; background: none; }
nav, #samples { display: none; }
h2, h3, h4, caption { break-after: avoid; }
section > :is(h2, h3) + * { break-before: avoid; }
tr, li, figure, article, .card { break-inside: avoid; }
.cards { grid-template-columns: repeat(3, 1fr); }
.card .big { font-size: 1.2rem; }
figure { max-width: 26rem; }
thead { display: table-header-group; }
.scroll { overflow: visible; }
table { font-size: 7.5pt; }
.numbers td { white-space: normal; }
.numbers td:nth-child(n + 5) { white-space: nowrap; }
th, td { padding: .2rem .25rem; }
tbody th { overflow-wrap: anywhere; }
a { color: inherit; text-decoration: none; }
details::details-content { content-visibility: visible; display: block; block-size: auto; }
}
`;
