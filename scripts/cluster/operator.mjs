// The hands of a cluster's operator: jobs, nodes, and what runs on them.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { kill, until } from '../faults/processes.mjs';

/**
 * One of Slurm's commands; throws with what it says where it fails.
 * @param {string} command
 * @param {string[]} args
 * @returns {Promise<string>}
 */
export function slurm(command, ...args) {
  return new Promise((resolve, reject) => {
    execFile(command, args, (error, stdout) => (error ? reject(error) : resolve(stdout.trim())));
  });
}

/**
 * A job of so many whole nodes that runs nothing; its id.
 * @param {number} nodes
 */
export async function allocate(nodes) {
  const asked = [`--nodes=${nodes}`, '--exclusive', '--mem=0', '--gres=gpu:2', '--no-shell'];
  const told = await new Promise((resolve, reject) => {
    execFile('salloc', asked, (error, _, stderr) => (error ? reject(error) : resolve(stderr)));
  });
  return String(/Granted job allocation (\d+)/.exec(told)?.[1]);
}

/** @param {string} job */
export async function release(job) {
  await slurm('scancel', job).catch(() => {});
  for (const end = Date.now() + 30_000; Date.now() < end; await sleep(200)) {
    if (!(await slurm('squeue', '-h', '-t', 'R,CG', '-o', '%i')).split('\n').includes(job)) return;
  }
  throw new Error(`job ${job} does not end`);
}

/**
 * The steps of a job that run.
 * @param {string} job
 */
export async function stepsOf(job) {
  const lines = await slurm('squeue', '-h', '--steps', `--jobs=${job}`, '-o', '%i %j').catch(() => '');
  return lines
    .split('\n')
    .map((line) => line.split(' '))
    .flatMap(([id = '', name = '']) => (/\.\d+$/.test(id) ? [{ id, name }] : []));
}

/**
 * What runs on a node: its daemon, and with it the processes of steps.
 * @param {string} node
 */
export function processesOn(node) {
  const conf = process.env.SLURM_CONF ?? '';
  return readdirSync('/proc').flatMap((entry) => {
    try {
      if (!/^\d+$/.test(entry)) return [];
      const command = readFileSync(`/proc/${entry}/cmdline`, 'latin1').replaceAll('\0', ' ').trim();
      const environ = readFileSync(`/proc/${entry}/environ`, 'latin1').split('\0');
      const started = environ.includes(`SLURM_CONF=${conf}`) && environ.includes(`SLURMD_NODENAME=${node}`);
      return started || command === `slurmd -N ${node} -f ${conf}` ? [{ pid: Number(entry), command }] : [];
    } catch {
      return []; // gone, or another user's
    }
  });
}

/**
 * The daemons that watch a job, which processesOn can't tell: their titles have taken the place of their environments.
 * @param {number} job
 */
function daemonsOf(job) {
  const folder = dirname(process.env.SLURM_CONF ?? '');
  const found = readdirSync('/proc').filter((entry) => {
    try {
      const title = readFileSync(`/proc/${entry}/cmdline`, 'latin1');
      return (
        title.startsWith(`slurmstepd: [${job}.`) && readlinkSync(`/proc/${entry}/cwd`).startsWith(folder)
      );
    } catch {
      return false; // gone, or no process
    }
  });
  return found.map((entry) => ({ pid: Number(entry) }));
}

/**
 * The node is gone at once, as when its power fails. Slurm finds out in SlurmdTimeout. `job`: its only one, whose daemons
 * can't tell of its end either.
 * @param {string} node
 * @param {number} [job]
 */
export function loseNode(node, job) {
  const processes = [...(job === undefined ? [] : daemonsOf(job)), ...processesOn(node)];
  for (const signal of /** @type {const} */ (['SIGSTOP', 'SIGKILL']))
    kill(...processes.map(({ pid }) => ({ pid, signal })));
}

/** @param {string} node */
export async function bringNode(node) {
  await once(spawn('slurmd', ['-N', node, '-f', process.env.SLURM_CONF ?? ''], { stdio: 'ignore' }), 'exit');
  let state = '';
  for (const end = Date.now() + 60_000; Date.now() < end; await sleep(500)) {
    await slurm('scontrol', 'update', `nodename=${node}`, 'state=resume').catch(() => {});
    state = await slurm('sinfo', '-h', '-n', node, '-o', '%T');
    if (state === 'idle') return;
  }
  throw new Error(`${node} is ${state}`);
}

/**
 * The process of a node whose command line ends so.
 * @param {string} node
 * @param {string} end
 */
export function findOn(node, end) {
  return until(`${end} on ${node}`, () => processesOn(node).find(({ command }) => command.endsWith(end)));
}
