/** The command line as declared to commander. Each command's code is loaded only when it runs: --help stays instant. */
import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError } from 'commander';
import type { CompareOptions } from './commands/compare.ts';
import type { LogsOptions } from './commands/logs.ts';
import type { ReportOptions } from './commands/report.ts';
import type { RunOptions } from './commands/run.ts';
import type { StageOptions } from './commands/stage.ts';
import type { TaskCheckOptions } from './commands/task-check.ts';
import { findStage, RUN_STAGES, STAGES } from './stages/table.ts';
import type { Context, Outcome } from './terminal/context.ts';
import type { ConfigOptions } from './terminal/require-config.ts';

const RUN_COMMAND = 'run';
/** Commands that --resume goes on with. */
export const RESUMABLE = [RUN_COMMAND, ...STAGES.map(({ command }) => command)];

/** Parses and runs. Nothing comes back when commander has said all there is to say, as for --help. */
export async function runCli(context: Context): Promise<Outcome | undefined> {
  let outcome: Outcome | undefined;
  /** An action that loads its command, runs it and keeps what it gives back. */
  const runs =
    <Args extends unknown[]>(
      load: () => Promise<(context: Context, ...args: Args) => Promise<Outcome | undefined>>,
    ) =>
    async (...args: Args) => {
      outcome = await (await load())(context, ...args);
    };

  const program = new Command('rrr')
    .description('Reflect, Retry, Reward: teach a language model to reflect on tasks you can only check.')
    .version(readVersion())
    .exitOverride()
    .helpCommand('help [command]', 'the options of a command');

  for (const stage of STAGES) {
    const command = addRunOptions(program.command(stage.command));
    for (const [flag, description] of stage.flags ?? []) command.option(flag, description);
    command.description(stage.description).action(
      runs<[StageOptions]>(async () => {
        const { runStage } = await import('./commands/stage.ts');
        return (context, options) => runStage(context, stage, options);
      }),
    );
  }

  const run = addRunOptions(program.command(RUN_COMMAND));
  for (const [flag, description] of RUN_STAGES.flatMap((name) => findStage(name).flags ?? []))
    run.option(flag, description);
  run
    .description(`all of it: ${RUN_STAGES.map((name) => findStage(name).command).join(', ')}`)
    .option(
      '--smoke',
      'try task, data, prompts and verifier on 32 rows with a tiny model on the CPU, in a run directory of its own (RUN-smoke)',
    )
    .action(runs<[RunOptions]>(async () => (await import('./commands/run.ts')).runAll));

  program
    .command('report')
    .description('count the report of a run again from its files, without any model')
    .argument('<run>', 'the run directory')
    .option('--json', 'one JSON object on stdout')
    .option('--verbose', 'stack traces of errors')
    .option('--out <dir>', 'write it there, for a run that you may only read (default: RUN/eval)')
    .option('--without-samples', 'no query and no completion in it: for data that may not be passed on')
    .action(runs<[string, ReportOptions]>(async () => (await import('./commands/report.ts')).runReport));

  program
    .command('compare')
    .description(
      'several evaluations: seeds joined, with an interval over training runs; models and controls side by side; transfer between tasks',
    )
    .argument('<run...>', 'run directories')
    .option('--out <dir>', 'write report.html, report.md and report.json there')
    .option('--json', 'one JSON object on stdout, text for people on stderr')
    .option('--verbose', 'stack traces of errors')
    .action(runs<[string[], CompareOptions]>(async () => (await import('./commands/compare.ts')).runCompare));

  program
    .command('status')
    .description('how a run stands, also while it runs: stage, pace, failures by kind, workers')
    .argument('<run>', 'the run directory')
    .option('--json', 'one JSON object on stdout')
    .option('--verbose', 'stack traces of errors')
    .action(runs<[string]>(async () => (await import('./commands/status.ts')).runStatus));

  program
    .command('logs')
    .description('the log of a run, or the stderr of one of its workers')
    .argument('<run>', 'the run directory')
    .option('--worker <name>', "the last attempt's stderr of this worker, such as sampler-0")
    .option('--lines <n>', 'how many of the last lines', parseCount, 50)
    .option('--follow', 'go on with what comes, until Ctrl-C')
    .option('--json', 'one JSON object a line')
    .option('--verbose', 'stack traces of errors')
    .action(runs<[string, LogsOptions]>(async () => (await import('./commands/logs.ts')).runLogs));

  const task = program.command('task').description('try a task before a run depends on it');
  addConfigOptions(task.command('check'))
    .description(
      "judge reference answers, which must pass, and wrong ones, which must fail, on the data's first rows; exit code 2 when the task, or its data, is not usable",
    )
    .argument(
      '[task]',
      'replaces task.name: path/to/file.py:Class, package.module:Class or the name of a built-in task',
    )
    .option('--rows <n>', 'how many rows', parseCount, 5)
    .action(
      runs<[string | undefined, TaskCheckOptions]>(
        async () => (await import('./commands/task-check.ts')).runTaskCheck,
      ),
    );

  const data = program.command('data').description('look at the data before a run');
  addConfigOptions(data.command('stats'))
    .description('rows, tools, parameters and calls; duplicates and near duplicates across the split')
    .action(runs<[ConfigOptions]>(async () => (await import('./commands/data-stats.ts')).runDataStats));

  program.command('version', { hidden: true }).action(async () => {
    outcome = { text: readVersion(), json: { version: readVersion() } };
  });

  program
    .command('schema', { hidden: true })
    .description('the JSON Schema of a config, for editors')
    .option('--resolved', 'of the resolved config, which workers are given')
    .action(runs<[{ resolved?: boolean }]>(async () => (await import('./commands/schema.ts')).runSchema));

  await program.parseAsync([...context.args], { from: 'user' });
  return outcome;
}

function addRunOptions(command: Command): Command {
  return addConfigOptions(command)
    .option('--run <dir>', 'the run directory (default: runs/<name of the config>)')
    .option('--resume', 'go on where the run was interrupted')
    .option('--dry-run', 'print the plan, or what of it would be refused; start nothing');
}

function addConfigOptions(command: Command): Command {
  return command
    .requiredOption('-c, --config <file>', 'the config, a YAML file')
    .option('--set <key=value>', 'replace a value of the config; repeatable', collect)
    .option('--json', 'one JSON object on stdout, text for people on stderr')
    .option('--verbose', 'stack traces of errors');
}

const collect = (value: string, previous: string[] = []) => [...previous, value];

function parseCount(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 1.');
  return Number(text);
}

function readVersion(): string {
  return JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version;
}
