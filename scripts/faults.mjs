#!/usr/bin/env node
// The fault matrix: real faults against real runs of `rrr build-failures`, one row each.
//
//   node scripts/faults.mjs --quick    faults of processes and disks, on a worker without a model: under a minute
//   node scripts/faults.mjs            those, and the ones that hit vLLM's own processes: scripts/make-tiny-model.sh first
//   node scripts/faults.mjs guardian   only the rows with this word in their name
//   RRR_FAULT_SEED=... node scripts/faults.mjs    with the random kills of the run that printed this
//
// Promised is that a run goes on to the same bytes (sha256 of failures.jsonl and tallies.jsonl against an unbroken run),
// or stops with an error that has cause, last log lines and cure; and that ten seconds later none of its processes is left.
// The last line is JSON, {"faults", "ok"}; the exit code is 1 where a promise is broken.
import { FAKE_ROWS, SEED, VLLM_ROWS } from './faults/rows.mjs';
import { withRun } from './faults/run.mjs';

/** @import { Stage } from './faults/rows.mjs' */
/** @import { Engine } from './faults/types.ts' */

/** @type {{ engine: Engine, stages: Record<string, Stage>, atOnce: number }[]} */
const MATRIX = [
  { engine: 'fake', stages: FAKE_ROWS, atOnce: 2 },
  { engine: 'vllm', stages: VLLM_ROWS, atOnce: 1 },
];
const words = process.argv.slice(2);
const quick = words.includes('--quick');
const wanted = words.filter((word) => !word.startsWith('--'));

/**
 * The digests of a run with one worker that nothing happens to.
 * @param {Engine} engine
 */
async function runUnbroken(engine) {
  return withRun(engine, undefined, async (run) => {
    const { code, stderr } = await run.start({ sets: ['workers.count=1'] }).ended;
    if (code !== 0) throw new Error(`the unbroken run failed: ${stderr}`);
    return run.digests();
  });
}

/**
 * @param {{ engine: Engine, fault: string, stage: Stage }} row
 * @param {string} unbroken
 */
async function walk({ engine, fault, stage }, unbroken) {
  const result = await withRun(engine, unbroken, async (run) => {
    try {
      const outcome = await stage(run);
      return outcome && (await run.settle(outcome));
    } catch (error) {
      const shown = error instanceof Error ? error.message : String(error);
      return { ok: false, outcome: 'not staged', shown, seconds: NaN, left: run.processes() };
    }
  });
  const { ok, outcome, shown, seconds, left } = result ?? {
    ok: true,
    outcome: 'skipped',
    shown: 'this machine lets nobody mount',
    seconds: undefined,
    left: undefined,
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

process.stderr.write(`RRR_FAULT_SEED=${SEED}\n`);
process.stdout.write(
  '| | fault | outcome | bytes, or the error | seconds to its end | processes left |\n|---|---|---|---|---|---|\n',
);
/** @type {{ ok: boolean, skipped: boolean }[]} */
const results = [];
for (const { engine, stages, atOnce } of quick ? MATRIX.slice(0, 1) : MATRIX) {
  const queue = Object.entries(stages)
    .map(([fault, stage]) => ({ engine, fault, stage }))
    .filter(({ fault }) => wanted.every((word) => `${engine}: ${fault}`.includes(word)));
  if (queue.length === 0) continue;
  const unbroken = await runUnbroken(engine);
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (let row = queue.shift(); row; row = queue.shift()) results.push(await walk(row, unbroken));
    }),
  );
}
const walked = results.filter(({ skipped }) => !skipped);
const ok = walked.filter((result) => result.ok).length;
process.stdout.write(`${JSON.stringify({ faults: walked.length, ok })}\n`);
process.exitCode = ok === walked.length && ok > 0 ? 0 : 1;
