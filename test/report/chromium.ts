import { existsSync } from 'node:fs';
import axe from 'axe-core';
import { type Browser, chromium, type Page } from 'playwright-core';

const CHROMIUM = '/usr/bin/chromium';
const ARGUMENTS = ['no-sandbox', 'disable-gpu', 'disable-quic', 'no-first-run', 'disable-sync'];
const QUIET = ['disable-background-networking', 'disable-component-update'];

/** Tests of the page need a browser: in CI they fail without one, elsewhere one line says that they were skipped. */
export const hasChromium = existsSync(CHROMIUM) || process.env.CI === 'true';
if (!hasChromium)
  process.stderr.write(`skipped: the report in a browser, as ${CHROMIUM} is missing (Debian: chromium)\n`);

export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM,
    args: [...ARGUMENTS, ...QUIET].map((name) => `--${name}`),
  });
}

export interface Opened {
  page: Page;
  /** Errors, and whatever it asked for beside itself. */
  faults: string[];
}

export async function open(
  browser: Browser,
  file: string,
  { width = 1200, dark = false, hash = '' } = {},
): Promise<Opened> {
  const page = await browser.newPage({
    viewport: { width, height: 900 },
    colorScheme: dark ? 'dark' : 'light',
  });
  const faults: string[] = [];
  page.on('console', (message) => faults.push(message.text()));
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('request', (request) => {
    if (request.url().split('#')[0] !== `file://${file}`) faults.push(request.url());
  });
  await page.goto(`file://${file}${hash}`);
  return { page, faults };
}

/** What axe finds, in a line each. */
export async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run(): Promise<AxeResults> } };
    const { violations } = await axe.run();
    return violations.map(
      ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 100)).join(' ')}`,
    );
  });
}

interface AxeResults {
  violations: { id: string; nodes: { html: string }[] }[];
}
