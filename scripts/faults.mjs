#!/usr/bin/env node
// The fault matrix: real faults against real runs of `rrr build-failures`, one row each.
//
//   node scripts/faults.mjs --quick    faults of processes and disks, on a worker without a model: under a minute
//   node scripts/faults.mjs            those, and the ones that hit vLLM's own processes: scripts/make-tiny-model.sh first
//   node scripts/faults.mjs guardian   only the rows with this word in their name
//
// Promised is that a run goes on to the same bytes (sha256 of failures.jsonl and tallies.jsonl against an unbroken run),
// or stops with an error that has cause, last log lines and cure; and that ten seconds later none of its processes is left.
// The last line is JSON, {"faults", "ok"}; the exit code is 1 where a promise is broken.
import { FAKE_ROWS, VLLM_ROWS } from './faults/rows.mjs';
import { FaultRun } from './faults/run.mjs';

const AT_ONCE = { fake: 2, vllm: 1 };
const words = process.argv.slice(2);
const quick = words.includes('--quick');
const wanted = words.filter((word) => !word.startsWith('--'));
const rows = [
  ...Object.entries(FAKE_ROWS).map(([fault, stage]) => ({ engine: 'fake', fault, stage })),
  ...(quick ? [] : Object.entries(VLLM_ROWS).map(([fault, stage]) => ({ engine: 'vllm', fault, stage }))),
].filter(({ engine, fault }) => wanted.every((word) => `${engine}: ${fault}`.includes(word)));

const open = new Set();
process.on('exit', () => {
  for (const run of open) run.close();
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

async function withRun(engine, unbroken, work) {
  const run = new FaultRun(engine, unbroken);
  open.add(run);
  try {
    return await work(run);
  } finally {
    open.delete(run);
    run.close();
  }
}

/** The digests of a run with one worker that nothing happens to. */
async function runUnbroken(engine) {
  return withRun(engine, undefined, async (run) => {
    const { code, stderr } = await run.start({ sets: ['workers.count=1'] }).ended;
    if (code !== 0) throw new Error(`the unbroken run failed: ${stderr}`);
    return run.digests();
  });
}

async function walk({ engine, fault, stage }, unbroken) {
  const result = await withRun(engine, unbroken, async (run) => {
    try {
      const outcome = await stage(run);
      return outcome && (await run.settle(outcome));
    } catch (error) {
      return { ok: false, outcome: 'not staged', shown: error.message, seconds: NaN, left: run.processes() };
    }
  });
  const { ok, outcome, shown, seconds, left } = result ?? {
    ok: true,
    outcome: 'skipped',
    shown: 'this machine lets nobody mount',
  };
  const cells = [
    ok ? 'ok' : 'BROKEN',
    `${engine}: ${fault}`,
    outcome,
    shown,
    seconds?.toFixed(1) ?? '',
    left?.length ?? '',
  ];
  process.stdout.write(`| ${cells.join(' | ')} |\n`);
  for (const { pid, command } of left ?? []) process.stdout.write(`  left: ${pid} ${command}\n`);
  return { ok, skipped: result === undefined };
}

process.stdout.write(
  '| | fault | outcome | bytes, or the error | seconds to its end | processes left |\n|---|---|---|---|---|---|\n',
);
const results = [];
for (const engine of ['fake', 'vllm']) {
  const queue = rows.filter((row) => row.engine === engine);
  if (queue.length === 0) continue;
  const unbroken = await runUnbroken(engine);
  await Promise.all(
    Array.from({ length: AT_ONCE[engine] }, async () => {
      for (let row = queue.shift(); row; row = queue.shift()) results.push(await walk(row, unbroken));
    }),
  );
}
const walked = results.filter(({ skipped }) => !skipped);
const ok = walked.filter((result) => result.ok).length;
process.stdout.write(`${JSON.stringify({ faults: walked.length, ok })}\n`);
process.exitCode = ok === walked.length && ok > 0 ? 0 : 1;
