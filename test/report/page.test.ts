/** The report as readers have it: in a browser, on a phone, on paper, by keyboard. */
import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeRun } from '../stages/finished-run.ts';
import { temporaryFolder } from '../workers/harness.ts';
import { hasChromium, launch, open, violations } from './chromium.ts';
import { input } from './fixture.ts';
import { recordedRun, writeReportOf } from './recorded-run.ts';

const A4_WITHOUT_MARGINS = 703;

interface Boxed {
  getBoundingClientRect(): { right: number };
}

describe.skipIf(!hasChromium)('the report in a browser', () => {
  let browser: Browser;
  let run: string;
  let file: string;

  beforeAll(async () => {
    run = await recordedRun();
    file = join(await writeReportOf(run), 'report.html');
    browser = await launch();
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    rmSync(run, { recursive: true, force: true });
  });

  const found = (page: Page) => page.locator('#found').textContent();
  const field = (page: Page, name: string) => page.locator(`#browser [name=${name}]`);
  const sample = (page: Page) => page.locator('#sample');

  test.each([false, true])(
    'nothing is asked of the net, nothing errs, axe finds nothing (dark: %s)',
    async (dark) => {
      const { page, faults } = await open(browser, file, { dark, hash: '#samples?sample=sampled.0.q3' });
      await sample(page).getByText('query q3').waitFor();
      expect(await violations(page)).toEqual([]);
      expect(faults).toEqual([]);
      await page.close();
    },
  );

  test('a number leads to the samples behind it; a filter, a search and a reset change what is found', async () => {
    const { page, faults } = await open(browser, file);
    const table = page.locator('#sampled table', { hasText: 'From before to after training' });
    const row = table.locator('tr', { hasText: 'First try' }).first();
    const lost = await row.locator('td').nth(1).textContent();
    await row.locator('td a').nth(1).click();
    expect(await found(page)).toBe(`${lost} of 164 samples`);
    await page.getByRole('button', { name: 'Show all' }).click();
    expect(await found(page)).toBe('164 of 164 samples');

    await field(page, 'arm').selectOption('trained');
    await field(page, 'first').selectOption('right');
    const right = await page.locator('#sampled table', { hasText: 'Verdicts, first try' }).textContent();
    expect(Number((await found(page))?.split(' ')[0])).toBeGreaterThan(0);
    expect(right).toContain('passed');

    await page.getByRole('button', { name: 'Show all' }).click();
    await page.locator('html[data-searchable=all]').waitFor();
    await field(page, 'text').fill('NUMS: ');
    expect(await found(page)).toBe('164 of 164 samples');
    await field(page, 'text').fill('target: 40');
    expect(await found(page)).toBe('4 of 164 samples');
    await field(page, 'part').selectOption('reflection');
    expect(await found(page)).toBe('0 of 164 samples');
    expect(faults).toEqual([]);
    await page.close();
  });

  test('a link opens one sample; keys and links open its neighbours', async () => {
    const { page } = await open(browser, file, { hash: '#samples?decoding=greedy&sample=greedy.0.q3' });
    await sample(page).getByText('query q3').waitFor();
    expect(await sample(page).locator('h3').allTextContents()).toEqual(
      expect.arrayContaining([
        'Before training',
        'After training',
        'Bare retry, no reflection, after training',
      ]),
    );
    await page.keyboard.press('ArrowRight');
    await sample(page).getByText('query q4').waitFor();
    await page.keyboard.press('ArrowLeft');
    await sample(page).getByText('query q3').waitFor();
    await sample(page).getByText('← previous').click();
    await sample(page).getByText('query q2').waitFor();
    expect(page.url()).toContain('sample=greedy.0.q2');
    await page.goBack();
    await sample(page).getByText('query q3').waitFor();
    await page.close();
  });

  test('on a phone the main numbers need no scrolling, and no text of a chart is smaller than 10 pixels', async () => {
    const { page } = await open(browser, file, { width: 390 });
    const right = (elements: Boxed[]) =>
      Math.max(...elements.map((each) => each.getBoundingClientRect().right));
    expect(await page.locator('html').evaluate((root) => root.scrollWidth)).toBe(390);
    expect(await page.locator('.numbers tr > :nth-child(4)').evaluateAll(right)).toBeLessThanOrEqual(390);
    const charts = await page.locator('svg').evaluateAll((all) =>
      all.map((svg) => {
        const scale = svg.getBoundingClientRect().width / Number(svg.getAttribute('viewBox').split(' ')[2]);
        const sizes = [...svg.querySelectorAll('text')].map(
          (text) => text.computedStyleMap().get('font-size').value,
        );
        return scale * Math.min(...sizes);
      }),
    );
    expect(charts).toHaveLength(15);
    expect(Math.min(...charts)).toBeGreaterThanOrEqual(10);
    await page.close();
  });

  test('on paper nothing is cut, and the configuration is unfolded', async () => {
    const { page } = await open(browser, file, { width: A4_WITHOUT_MARGINS });
    await page.emulateMedia({ media: 'print' });
    const cut = await page
      .locator('main *')
      .evaluateAll(
        (all, width) =>
          all
            .filter((each) => each.getBoundingClientRect().right > width + 1)
            .map(({ outerHTML }) => outerHTML.slice(0, 100)),
        A4_WITHOUT_MARGINS,
      );
    expect(cut).toEqual([]);
    expect((await page.locator('details pre').last().boundingBox())?.height).toBeGreaterThan(500);
    expect((await page.pdf({ preferCSSPageSize: true })).length).toBeGreaterThan(10_000);
    await page.close();
  });

  test('the page of several runs needs no script, and axe finds nothing', async () => {
    const cwd = temporaryFolder();
    for (const seed of [1, 2])
      writeRun(join(cwd, `${seed}`), { ...input, config: { ...input.config, seed } });
    await execa('node', [resolve('dist/main.js'), 'compare', '1', '2', '--out', 'joined'], { cwd });
    const { page, faults } = await open(browser, join(cwd, 'joined/report.html'));
    expect(await page.locator('svg').count()).toBe(2);
    expect(await page.locator('script').count()).toBe(0);
    expect(await violations(page)).toEqual([]);
    expect(faults).toEqual([]);
    await page.close();
  });
});
