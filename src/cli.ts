/** The command line as declared to commander. Each command's code is loaded only when it runs: --help stays instant. */
import { Command, InvalidArgumentError, Option } from 'commander';
import type { AttemptEndOptions } from './commands/attempt.ts';
import type { CancelOptions } from './commands/cancel.ts';
import type { CompareOptions } from './commands/compare.ts';
import type { DoctorOptions } from './commands/doctor.ts';
import type { InitOptions } from './commands/init.ts';
import type { LogsOptions } from './commands/logs.ts';
import type { PlanOptions } from './commands/plan.ts';
import type { ReportOptions } from './commands/report.ts';
import type { RunOptions } from './commands/run.ts';
import type { SchemaOptions } from './commands/schema.ts';
import type { SetupOptions } from './commands/setup.ts';
import type { StageOptions } from './commands/stage.ts';
import type { StatusOptions } from './commands/status.ts';
import type { SubmitOptions } from './commands/submit.ts';
import type { TaskCheckOptions } from './commands/task-check.ts';
import type { TryOptions } from './commands/try.ts';
import { STACKS } from './launch/environment.ts';
import { rrrVersion } from './run/rrr-version.ts';
import { findStage, RUN_STAGES, STAGES } from './stages/table.ts';
import type { Context, Outcome } from './terminal/context.ts';
import { EXIT_CODES, showExamples } from './terminal/examples.ts';
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
    .version(rrrVersion())
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

  addRunOptions(program.command('submit'))
    .description('run it as a job of Slurm (launch.slurm in the config); --dry-run prints the batch script')
    .option(
      '--only <command>',
      `a single command of the run: ${STAGES.map(({ command }) => command).join(', ')}`,
    )
    .option('--accept-versions', 'as in rrr train')
    .action(runs<[SubmitOptions]>(async () => (await import('./commands/submit.ts')).runSubmit));

  program
    .command('cancel')
    .description('end a run in good order, with a checkpoint: its Slurm job, or its process on this machine')
    .argument('<run>', 'the run directory')
    .option('--grace <s>', 'seconds for it to finish what it does; then it is ended', parseCount, 600)
    .option('--json', 'one JSON object on stdout')
    .option('--verbose', 'stack traces of errors')
    .action(runs<[string, CancelOptions]>(async () => (await import('./commands/cancel.ts')).runCancel));

  program
    .command('init')
    .description('write a config for a model, a task and GPUs, with the reason of each choice')
    .requiredOption('--model <name>', 'a hub id, or a folder: ./folder')
    .requiredOption(
      '--task <task>',
      'countdown, function_calling, path/to/file.py:Class or package.module:Class',
    )
    .option('--gpus <n x GiB>', 'such as 8x80 or 4xh100 (default: those that nvidia-smi sees)')
    .option('--nodes <n>', 'machines with so many GPUs each', parseCount, 1)
    .option('--data <file>', "a JSONL file, in place of the task's data on the hub")
    .option('--out <file>', 'write it there (default: to stdout)')
    .option('--json', 'one JSON object on stdout')
    .option('--verbose', 'stack traces of errors')
    .action(runs<[InitOptions]>(async () => (await import('./commands/init.ts')).runInit));

  program
    .command('plan')
    .description(
      'what a run would do and take: GPUs, memory, disk, hours, cost; of the model its config.json alone is read',
    )
    .option('-c, --config <file>', 'the config, a YAML file')
    .option('--set <key=value>', 'replace a value of the config; repeatable', collect)
    .option('--run <dir>', 'the run directory (default: runs/<name of the config>)')
    .option('--gpus <n x GiB>', 'such as 8x80, 80 or 4xh100 (default: those that nvidia-smi sees)')
    .option('--nodes <n>', 'machines with so many GPUs each', parseCount)
    .option('--assume <name=number>', 'replace what is assumed; repeatable', collectNumbers)
    .option('--like <run>', 'take failure rate and lengths from the failures of this run')
    .option('--price <number>', 'of a GPU hour, in any currency', parseNumber)
    .option('--table <task>', 'in place of a run: which of its models train on which GPUs, and how fast')
    .option('--json', 'one JSON object on stdout, text for people on stderr')
    .option('--verbose', 'stack traces of errors')
    .action(runs<[PlanOptions]>(async () => (await import('./commands/plan.ts')).runPlan));

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
    .command('try')
    .description(
      'one query before and after training: first answer, verdict, reflection, retry; as the evaluation asks it, and nothing is written',
    )
    .argument('<run>', 'the run directory')
    .addOption(
      new Option(
        '--id <id>',
        'a query of the test split (default: one that the base model failed)',
      ).conflicts('query'),
    )
    .option('--query <json>', "a query of your own: the task's columns as JSON")
    .addOption(
      new Option(
        '--model <which>',
        'which of the two models (default: both, where there is a trained one)',
      ).choices(['base', 'trained', 'both']),
    )
    .addOption(
      new Option('--decoding <how>', 'default: sampled, unless the evaluation is greedy alone').choices([
        'sampled',
        'greedy',
      ]),
    )
    .option('--json', 'one JSON object on stdout, text for people on stderr')
    .option('--verbose', 'stack traces of errors')
    .action(runs<[string, TryOptions]>(async () => (await import('./commands/try.ts')).runTry));

  program
    .command('status')
    .description('how a run stands, also while it runs: stage, pace, failures by kind, workers')
    .argument('<run>', 'the run directory')
    .option('--watch', 'show it again every second until the run ends, or until Ctrl-C')
    .option('--json', 'one JSON object on stdout; with --watch one a line, whenever something has changed')
    .option('--verbose', 'stack traces of errors')
    .action(runs<[string, StatusOptions]>(async () => (await import('./commands/status.ts')).runStatus));

  program
    .command('logs')
    .description('the log of a run, or the stderr of one of its workers')
    .argument('<run>', 'the run directory')
    .option('--worker <name>', "the last attempt's stderr of this worker, such as sampler-0")
    .option('--job', "what its Slurm job says: Slurm's own messages, and rrr's in the last attempt")
    .option('--lines <n>', 'how many of the last lines', parseCount, 50)
    .option('--follow', 'go on with what comes, until Ctrl-C')
    .option('--json', 'one JSON object a line')
    .option('--verbose', 'stack traces of errors')
    .action(runs<[string, LogsOptions]>(async () => (await import('./commands/logs.ts')).runLogs));

  program
    .command('setup')
    .description('make the Python environment of the workers; does nothing when nothing changed')
    .addOption(
      new Option(
        '--stack <name>',
        'cuda: vLLM for NVIDIA GPUs; cpu: vLLM for CPUs; light: neither, for data, tasks, reports and endpoints (default: by the machine)',
      ).choices(STACKS),
    )
    .option('--tiny-model', 'also the model of --smoke and the demos, which takes minutes, once')
    .option('--json', 'one JSON object on stdout, text for people on stderr')
    .option('--verbose', 'stack traces of errors')
    .action(runs<[SetupOptions]>(async () => (await import('./commands/setup.ts')).runSetup));

  program
    .command('doctor')
    .description('what is wrong with this machine, the set-up or the config; exit code 2 for an error')
    .option('-c, --config <file>', 'also what this config needs')
    .option('--set <key=value>', 'replace a value of the config; repeatable', collect)
    .option('--run <dir>', 'the run directory (default: runs/<name of the config>)')
    .option('--json', 'one JSON object on stdout')
    .option('--verbose', 'stack traces of errors')
    .action(runs<[DoctorOptions]>(async () => (await import('./commands/doctor.ts')).runDoctor));
  addConfigOptions(program.command('fetch'))
    .description("get the config's models and data from the hub, for a run on a machine without a network")
    .option('--run <dir>', 'the run directory, which keeps the commits (default: runs/<name of the config>)')
    .action(runs<[StageOptions]>(async () => (await import('./commands/fetch.ts')).runFetch));

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
    outcome = { text: rrrVersion(), json: { version: rrrVersion() } };
  });

  // What the batch script of `rrr submit` calls.
  const attempt = program.command('attempt', { hidden: true });
  attempt
    .command('begin')
    .argument('<run>')
    .action(runs<[string]>(async () => (await import('./commands/attempt.ts')).beginAttempt));
  attempt
    .command('end')
    .argument('<run>')
    .requiredOption('--code <n>', '', Number)
    .option('--ahead')
    .action(
      runs<[string, AttemptEndOptions]>(async () => (await import('./commands/attempt.ts')).endAttempt),
    );

  program
    .command('schema', { hidden: true })
    .description('the JSON Schema of a config, for editors')
    .option('--resolved', 'of the resolved config, which workers are given')
    .option('--markdown', 'as the page docs/config.md')
    .action(runs<[SchemaOptions]>(async () => (await import('./commands/schema.ts')).runSchema));

  addExamples(program);
  program.addHelpText('after', EXIT_CODES);
  await program.parseAsync([...context.args], { from: 'user' });
  return outcome;
}

/** To a command and all below it; `words` name it. */
function addExamples(command: Command, words: readonly string[] = []): void {
  command.addHelpText('after', showExamples(words.join(' ')));
  for (const below of command.commands) addExamples(below, [...words, below.name()]);
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

function parseNumber(text: string): number {
  const number = text.trim() === '' ? Number.NaN : Number(text);
  if (!Number.isFinite(number) || number < 0) throw new InvalidArgumentError('It must be a number from 0.');
  return number;
}

function collectNumbers(text: string, previous: Record<string, number> = {}): Record<string, number> {
  const [name = '', value] = text.split('=', 2);
  return { ...previous, [name]: parseNumber(value ?? '') };
}
