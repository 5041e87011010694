/** The look of report.html, in light and dark. */
import { COLOURS } from './charts.ts';

export const STYLE = `
:root { --ink: #1c2330; --soft: #5b6577; --paper: #fbfbf9; --card: #fff; --line: #dfe3e8; --gain: ${COLOURS.after}; --loss: #c8553d; --base: ${COLOURS.before}; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --soft: #9aa4b5; --paper: #14181f; --card: #1c222b; --line: #2e3743; --gain: #3fbfc1; --loss: #e8836c; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 60rem; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
header { border-bottom: 3px solid var(--gain); margin-bottom: 1.5rem; }
.kicker { margin: 0; color: var(--gain); font-weight: 600; letter-spacing: .03em; }
h1 { margin: .1em 0; font-size: 2.2rem; line-height: 1.15; }
h2 { margin: 2.75rem 0 1rem; font-size: 1.45rem; }
h3 { margin: 1.25rem 0 .5rem; font-size: 1rem; }
h4 { margin: .75rem 0 .25rem; font-size: .85rem; color: var(--soft); font-weight: 600; }
.models, .note, figcaption, footer { color: var(--soft); font-size: .85rem; }
.verdict { background: var(--card); border: 1px solid var(--line); border-left: 4px solid var(--gain); border-radius: 8px; padding: .35rem 1rem; }
.verdict ul { padding-left: 1.1rem; }
.verdict li { margin: .4rem 0; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: .9rem; }
.card { background: var(--card); border: 1px solid var(--line); border-top: 4px solid var(--base); border-radius: 8px; padding: .75rem 1rem; }
.card.gain { border-top-color: var(--gain); }
.card.loss { border-top-color: var(--loss); }
.card p { margin: 0; color: var(--soft); font-size: .88rem; }
.card .big { margin: .15rem 0; color: var(--ink); font-size: 1.6rem; font-weight: 650; font-variant-numeric: tabular-nums; }
.big span { color: var(--soft); font-weight: 400; }
figure { margin: 1.25rem 0; }
figure svg { display: block; width: 100%; height: auto; }
figcaption { text-align: center; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top; }
th { color: var(--soft); font-weight: 600; }
th:first-child, td:first-child { text-align: left; }
.numbers td:not(:first-child) { white-space: nowrap; }
.facts td:last-child { text-align: left; overflow-wrap: anywhere; }
.facts td:first-child { width: 45%; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: 0 1.5rem; }
article { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .25rem 1rem 1rem; margin: 1rem 0; }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: 0 1.25rem; }
pre, code { font: .82rem/1.45 ui-monospace, monospace; overflow-wrap: anywhere; }
pre { margin: 0; padding: .5rem .7rem; background: var(--paper); border: 1px solid var(--line); border-radius: 6px; white-space: pre-wrap; }
.badge { padding: .05rem .45rem; border-radius: 99px; border: 1px solid currentColor; font-weight: 500; }
.badge.gain { color: var(--gain); }
.badge.loss { color: var(--loss); }
details { margin-top: 1rem; }
footer { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: .75rem; }
`;
