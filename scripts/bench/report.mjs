// The report of a large evaluation, in a browser: 15,000 queries, before and after, each with a first answer, a reflection and a
// retry of 200, 80 and 200 tokens of natural text, at three quarters of a word a token; and, as in every evaluation, what the
// trained model makes of the base model's failures. Prints file size, first contentful paint, the time until all texts can be
// searched, and the slowest of several filters and searches.
//     npm run --silent bench -- report [QUERIES]
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const CHROMIUM = '/usr/bin/chromium';
const WORDS_A_TOKEN = 0.75;
const FILTERS = [
  '#samples?change=first_try.won',
  '#samples?arm=trained&first=right&last=right',
  '#samples?arm=base&first=off_topic&part=reflection&from=50',
  '#samples?cut=true',
  '#samples?text=the', // nearly all
  '#samples?text=is%20used%20to', // some
  '#samples?text=no%20such%20words%20anywhere', // none: every text is searched to its end
  '#samples?arm=trained&part=reflection&text=should',
  '#samples?',
];
const queries = Number(process.argv[2] ?? 15_000);

let state = 1;
/** A whole number below `below`, the same in every run. @param {number} below */
function draw(below) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
}

/** Prose that is there wherever rrr is: the documentation of its packages. */
function readSentences() {
  const folder = join(ROOT, 'node_modules');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.md'),
  );
  const texts = files.sort().map((file) => readFileSync(join(folder, file), 'utf8'));
  const all = texts.flatMap((text) => text.split(/(?<=\.)\s+/)).map((each) => each.replace(/\s+/g, ' '));
  return [...new Set(all)]
    .filter((each) => /^[A-Z][\w ,'`()-]{30,250}\.$/.test(each))
    .map((each) => each.split(' '));
}

const sentences = readSentences();

/** @param {number} tokens */
function write(tokens) {
  /** @type {string[]} */
  const words = [];
  while (words.length < WORDS_A_TOKEN * tokens) words.push(...(sentences[draw(sentences.length)] ?? []));
  const completion = words.slice(0, WORDS_A_TOKEN * tokens).join(' ');
  return { completion, tokens, finish_reason: draw(20) === 0 ? 'length' : 'stop' };
}

/** @param {boolean} passed */
function answer(passed) {
  const kind = passed ? 'passed' : draw(2) === 0 ? 'too_short' : 'off_topic';
  return { ...write(200), verdict: { passed, kind, detail: '' } };
}

/** @param {string} run */
function writeRun(run) {
  for (const folder of ['data', 'eval', 'train', 'failures']) mkdirSync(join(run, folder));
  /** @param {string} name @param {unknown} value */
  const json = (name, value) => writeFileSync(join(run, name), `${JSON.stringify(value)}\n`);
  const counts = { read: queries, train: 0, test: queries, unused: 0, duplicates: 0, skipped: 0 };
  json('data/summary.json', { ...counts, skipped_examples: [], prompts: {} });
  json('eval/config.json', {
    model: { name: '/models/base' },
    data: { source: 'generator', rows: queries, train_fraction: 0.9 },
    eval: { modes: ['sampled'], retry: 'all', model: '/models/trained' },
  });
  const evaluation = {
    status: 'finished',
    config_sha: '',
    started: '',
    finished: '',
    attempts: 1,
    seconds: 1,
  };
  json('run.json', {
    format: 2,
    rrr_version: '',
    created: '',
    date: '2026-01-02',
    stages: { eval: evaluation },
  });
  writeFileSync(join(run, 'workers.jsonl'), '');
  for (let index = 0; index < queries; index++) {
    const fields = { question: write(30).completion };
    const query = { id: `query-${index}`, index, fields };
    writeFileSync(join(run, 'data/test.jsonl'), `${JSON.stringify(query)}\n`, { flag: 'a' });
    const round = () => ({ reflection: write(80), retry: answer(draw(100) < 40) });
    const [before, after] = [answer(draw(100) < 30), answer(draw(100) < 45)];
    const episodes = {
      base: { first: before, rounds: [round()] },
      trained: { first: after, rounds: [round()] },
      ...(!before.verdict.passed && { trained_on_base: { first: null, rounds: [round()] } }),
    };
    const lines = Object.entries(episodes).map(
      ([arm, episode]) =>
        `${JSON.stringify({ arm, decoding: 'sampled', sample: 0, id: query.id, episode })}\n`,
    );
    writeFileSync(join(run, 'eval/journal.jsonl'), lines.join(''), { flag: 'a' });
  }
}

/** @param {string} file */
async function measure(file) {
  const args = [
    '--no-sandbox',
    '--disable-gpu',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-sync',
  ];
  const browser = await chromium.launch({ executablePath: CHROMIUM, args });
  try {
    const page = await browser.newPage();
    await page.goto(`file://${file}`);
    await page.locator('html[data-searchable=all]').waitFor({ timeout: 300_000 });
    // As text: it runs in the page, which has other types.
    const paint_ms = await page.evaluate(
      "performance.getEntriesByName('first-contentful-paint')[0].startTime",
    );
    const index_ms = await page.evaluate('performance.now()');
    const times = [];
    for (const hash of FILTERS) {
      const took = await page.evaluate(`new Promise((resolve) => {
        performance.clearMeasures();
        addEventListener('hashchange', () => setTimeout(() => {
          resolve(performance.getEntriesByName('filter').at(-1).duration);
        }), { once: true });
        location.hash = ${JSON.stringify(hash)};
      })`);
      times.push({ hash, ms: Math.round(Number(took)), found: await page.locator('#found').textContent() });
    }
    return { paint_ms: Math.round(Number(paint_ms)), index_ms: Math.round(Number(index_ms)), times };
  } finally {
    await browser.close();
  }
}

const run = mkdtempSync(join(tmpdir(), 'rrr-bench-report-'));
try {
  writeRun(run);
  const start = performance.now();
  execFileSync(process.execPath, [join(ROOT, 'dist/main.js'), 'report', run], { stdio: 'ignore' });
  const report_s = Number(((performance.now() - start) / 1000).toFixed(1));
  const file = join(run, 'eval/report.html');
  const { times, ...measured } = await measure(file);
  for (const { hash, ms, found } of times) process.stderr.write(`${ms} ms  ${hash}: ${found}\n`);
  const filter_ms = Math.max(...times.map(({ ms }) => ms));
  const mib = Number((statSync(file).size / 2 ** 20).toFixed(1));
  process.stdout.write(`${JSON.stringify({ samples: queries, mib, report_s, ...measured, filter_ms })}\n`);
} finally {
  rmSync(run, { recursive: true });
}
