/** A page that stands alone: nothing is loaded from anywhere, and only the script that is in it runs. */
import { createHash } from 'node:crypto';
import { STYLE } from './style.ts';
import { type Html, html, trusted } from './tag.ts';

/** `script` is our own; `data` are texts without any "<", which it reads. */
export function page(
  title: string,
  body: Html,
  { script, data = [] }: { script?: string; data?: readonly string[] } = {},
): string {
  const scripts = script === undefined ? "'none'" : `'sha256-${hash(script)}'`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'unsafe-inline'; script-src ${trusted(scripts)}">
<title>rrr: ${title}</title>
<style>${trusted(STYLE)}</style>
</head>
<body>
${body}
${data.map((text) => html`<script type="application/octet-stream">${trusted(text)}</script>\n`)}${script === undefined ? '' : html`<script type="module">${trusted(script)}</script>`}
</body>
</html>
`.text;
}

const hash = (script: string) => createHash('sha256').update(script).digest('base64');
