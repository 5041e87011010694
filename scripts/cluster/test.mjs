#!/usr/bin/env node
// What rrr promises on a real Slurm cluster, of steps of a job (rows.mjs, stages.mjs) and of jobs (jobs.mjs): scripts/cluster.sh test.
//
//   eval "$(scripts/cluster.sh start)"
//   node scripts/cluster/test.mjs --short    faults, without a model: under three minutes
//   node scripts/cluster/test.mjs            all faults, and all stages with a model, on two nodes and here
//   node scripts/cluster/test.mjs lost       only the rows with one of these words in their name; stages: only all stages
//
// The last line is JSON: {"nodes", "stages_ok", "same_failures", "weights_differ_by", "faults": {"rows", "ok"}, "left"}.
import { setTimeout as sleep } from 'node:timers/promises';
import { withRun } from '../faults/run.mjs';
import { walkJobs } from './jobs.mjs';
import { allocate, processesOn, release, slurm, stepsOf } from './operator.mjs';
import { ROWS } from './rows.mjs';
import { runStages } from './stages.mjs';

/** @import { Row } from './rows.mjs' */

const words = process.argv.slice(2);
const short = words.includes('--short');
const wanted = words.filter((word) => !word.startsWith('--'));

/**
 * @param {string} name
 * @param {Row} row
 * @param {string} unbroken
 */
async function walk(name, row, unbroken) {
  /** @type {string[]} */
  const jobs = [];
  const again = async () => {
    for (const job of jobs) await release(job);
    const job = await allocate(2);
    jobs.push(job);
    return { SLURM_JOB_ID: job };
  };
  const result = await withRun('slurm', unbroken, async (run) => {
    try {
      const env = await again();
      return await run.settle(await row({ run, job: env.SLURM_JOB_ID, env, again }));
    } catch (error) {
      const shown = error instanceof Error ? error.message : String(error);
      return { ok: false, outcome: 'not staged', shown, seconds: NaN, left: run.processes() };
    }
  });
  let steps;
  // Slurm tells of a step a little longer than its processes live.
  for (const end = Date.now() + 10_000; ; await sleep(200)) {
    steps = (await Promise.all(jobs.map(stepsOf))).flat();
    if (steps.length === 0 || Date.now() > end) break;
  }
  for (const job of jobs) await release(job);
  const { ok, outcome, shown, seconds, left } = result;
  const leftovers = left.length + steps.length;
  const cells = [
    ok && steps.length === 0 ? 'ok' : 'BROKEN',
    name,
    outcome,
    shown,
    seconds.toFixed(1),
    leftovers,
  ];
  process.stdout.write(`| ${cells.join(' | ')} |\n`);
  for (const { pid, command } of left) process.stdout.write(`  left: ${pid} ${command}\n`);
  for (const step of steps) process.stdout.write(`  left: step ${step.id} ${step.name}\n`);
  return { ok: ok && steps.length === 0, left: leftovers };
}

const nodes = Number(await slurm('sinfo', '-h', '-o', '%D'));
const unbroken = await withRun('slurm', undefined, async (run) => {
  const { code, stderr } = await run.start({ sets: ['launch.kind=local'] }).ended;
  if (code !== 0) throw new Error(`the unbroken run failed: ${stderr}`);
  return run.digests();
});
process.stdout.write(
  '| | fault | outcome | bytes, or the error | seconds to its end | processes left |\n|---|---|---|---|---|---|\n',
);
const results = [];
for (const [name, row] of Object.entries(ROWS)) {
  if (wanted.length > 0 && !wanted.some((word) => name.includes(word))) continue;
  results.push(await walk(name, row, unbroken));
}
const withStages = !short && (wanted.length === 0 || wanted.includes('stages'));
const stages = withStages ? await runStages() : undefined;
const jobs = await walkJobs(wanted, short);
const faults = {
  rows: results.length + (stages?.faults.rows ?? 0) + jobs.rows,
  ok: results.filter((result) => result.ok).length + (stages?.faults.ok ?? 0) + jobs.ok,
};
const strays = (await slurm('sinfo', '-h', '-N', '-o', '%N'))
  .split('\n')
  .flatMap((node) => processesOn(node))
  .filter(({ command }) => !command.startsWith('slurmd '));
const left = results.reduce((sum, result) => sum + result.left, stages?.left ?? 0) + strays.length;
process.stdout.write(`${JSON.stringify({ nodes, ...stages?.told, faults, left })}\n`);
const good = faults.ok === faults.rows && left === 0 && (stages?.good ?? true);
process.exitCode = good ? 0 : 1;
