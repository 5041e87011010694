/** The batch script that Slurm runs for each attempt. */
import { basename } from 'node:path';
import type { Config } from '../config/schema.ts';
import type { RunPaths } from '../run/paths.ts';
import { quoteWord } from '../text.ts';

export interface ScriptRequest {
  config: Config;
  paths: RunPaths;
  /** What runs on the first node, such as ["run", "-c", ...], with the program before it. */
  program: readonly string[];
  args: readonly string[];
  cwd: string;
  /** What the run needs of the hub has been fetched. */
  fetched: boolean;
}

export function renderScript({ config, paths, program, args, cwd, fetched }: ScriptRequest): string {
  const { slurm } = config.launch;
  const words = (list: readonly string[]) => list.map(quoteWord).join(' ');
  return `#!/bin/bash
# Written by rrr submit. Slurm runs it at the start of the job, and again after every requeue.
${listOptions(slurm, paths)
  .map((option) => `#SBATCH ${option}`)
  .join('\n')}

cd ${quoteWord(cwd)} || exit
rrr=(${words(program)})
run=${quoteWord(paths.run)}
pid=
ahead=
# USR1 comes ahead of the time limit, and at a preemption where the cluster is set so; TERM from rrr cancel. Both end the
# run in good order: the trainer finishes its step and writes a checkpoint.
trap 'ahead=--ahead; [ -z "$pid" ] || kill -TERM "$pid"' USR1
trap '[ -z "$pid" ] || kill -TERM "$pid"' TERM

${fetched ? 'export HF_HUB_OFFLINE=1 # rrr fetch got what this run needs\n' : ''}set -e # a line of launch.slurm.setup that fails ends the job
${slurm.setup.map((line) => `${line}\n`).join('')}log=$("\${rrr[@]}" attempt begin "$run")
set +e

"\${rrr[@]}" ${words(args)} >>"$log" 2>&1 &
pid=$!
while kill -0 "$pid" 2>/dev/null; do wait "$pid"; done
wait "$pid"
code=$?
pid=
# 130: stopped, and can be resumed; ahead of the time limit the job then goes back into the queue.
# Not by exec: Slurm signals this shell, and Node takes USR1 for a call for its debugger.
"\${rrr[@]}" attempt end "$run" --code "$code" $ahead
exit
`;
}

function listOptions(slurm: Config['launch']['slurm'], paths: RunPaths): string[] {
  const { nodes, gpus_per_node, cpus_per_node, signal_ahead_s, requeue } = slurm;
  const gres = slurm.gres ?? (gpus_per_node > 0 ? `gpu:${gpus_per_node}` : undefined);
  const named = {
    'job-name': `rrr-${basename(paths.run).replace(/[^\w.-]/g, '-')}`,
    partition: slurm.partition,
    account: slurm.account,
    qos: slurm.qos,
    constraint: slurm.constraint,
    nodes,
    'ntasks-per-node': 1,
    'cpus-per-task': cpus_per_node,
    gres,
    mem: slurm.mem,
    time: slurm.time,
    signal: `B:USR1@${signal_ahead_s}`,
    // A % begins a pattern of Slurm's.
    output: paths.jobLog.replaceAll('%', '%%'),
    'open-mode': 'append',
  };
  return [
    ...Object.entries(named).flatMap(([key, value]) =>
      value === undefined ? [] : [`--${key}=${quoteWord(`${value}`)}`],
    ),
    ...(cpus_per_node === undefined ? ['--exclusive'] : []),
    requeue ? '--requeue' : '--no-requeue',
    ...slurm.sbatch,
  ];
}
