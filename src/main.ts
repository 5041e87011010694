#!/usr/bin/env -S node --max-semi-space-size=4
/**
 * The process around the command line: signals, the error boundary, exit codes.
 *
 * --max-semi-space-size=4: what a result leaves behind is garbage at once. Collected 4 MiB at a time instead of 16 it takes
 * 30 MiB less memory, and costs a few per cent of a rate that no engine reaches.
 */
import { isatty } from 'node:tty';
import { CommanderError } from 'commander';
import { RESUMABLE, runCli } from './cli.ts';
import { BugError, fileError, InterruptedError, RrrError } from './errors.ts';
import { type Invocation, resumeLine } from './terminal/command-line.ts';

const USAGE = 2;
const BUG = 3;
const INTERRUPTED = 130;
const REPORT_IT =
  'this is a defect of rrr: please report it, with what the same command prints under --verbose; with a task of your own try rrr task check first';
/** By commander's code; its other errors say themselves what to write. */
const USAGE_CURES: Record<string, string> = {
  'commander.missingMandatoryOptionValue':
    'name the config with -c FILE; the ones to start from are in configs/',
  'commander.missingArgument': 'name the run directory, such as runs/demo',
};
/** What stands before the message and before its cure, by exit code. */
const LABELS: Record<number, [string, string]> = { [BUG]: ['bug: ', ''], [INTERRUPTED]: ['', 'resume: '] };

const invocation: Invocation = {
  cwd: process.cwd(),
  program: process.argv[1] ?? 'rrr',
  args: process.argv.slice(2),
};
const json = invocation.args.includes('--json');
const verbose = invocation.args.includes('--verbose');

let lostTerminal = false;
// A terminal that went away, or a reader such as `head` that has enough, is no reason to end work.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

try {
  const { stdout, stderr } = process;
  const outcome = await runCli({ ...invocation, signal: stopOnSignals(), stdout, stderr });
  if (outcome) {
    (json ? process.stderr : process.stdout).write(`${outcome.text}\n`);
    if (json) process.stdout.write(`${JSON.stringify(outcome.json)}\n`);
    process.exitCode = outcome.exitCode ?? 0;
  }
} catch (error) {
  process.exitCode = report(error);
}
if (lostTerminal) {
  // By the signal itself: at an ordinary exit Node restores the terminal, and aborts when there is none any more.
  process.removeAllListeners('SIGHUP');
  process.kill(process.pid, 'SIGHUP');
}

/** The first signal asks for an end in good order, the second one ends now; the workers' guardians end the workers. */
function stopOnSignals(): AbortSignal {
  const controller = new AbortController();
  const interruption = new InterruptedError(resumeLine(invocation, RESUMABLE));
  const stop = (signal: NodeJS.Signals) => {
    if (controller.signal.aborted) {
      process.stderr.write('\n');
      process.exit(report(interruption));
    }
    // Neither one that only follows a log, nor the end of a job's attempt, has anything to finish.
    if (!['logs', 'attempt'].includes(invocation.args[0] ?? ''))
      process.stderr.write(`\n${signal}: finishing what runs; once more to stop at once\n`);
    controller.abort(interruption);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, stop);
  // Under nohup SIGHUP is ignored, which Node undoes when it starts. A process without a terminal can't lose one.
  const hasTerminal = [0, 1, 2].some((descriptor) => isatty(descriptor));
  process.on('SIGHUP', (signal) => {
    lostTerminal = hasTerminal;
    if (hasTerminal) stop(signal);
  });
  return controller.signal;
}

/** Shows the error and returns the exit code. */
function report(error: unknown): number {
  if (error instanceof CommanderError) {
    // commander has written its own message; help and version are no errors.
    if (error.exitCode === 0) return 0;
    const cure = USAGE_CURES[error.code];
    if (cure !== undefined) process.stderr.write(`cure: ${cure}\n`);
    if (json) writeJson({ message: error.message, exit_code: USAGE, cure });
    return USAGE;
  }
  const {
    message,
    exitCode,
    details = [],
    cure,
  } = error instanceof RrrError ? error : (fileError(error) ?? asBug(error));
  const advice = cure ?? (exitCode === BUG ? REPORT_IT : undefined);
  const [label, cureLabel] = LABELS[exitCode] ?? ['error: ', 'cure: '];
  const lines = [label + message, ...details, ...(advice ? [cureLabel + advice] : [])];
  process.stderr.write(`${lines.join('\n')}\n`);
  if (verbose && error instanceof Error) process.stderr.write(`${renderStack(error)}\n`);
  if (json) writeJson({ message, exit_code: exitCode, details, cure: advice });
  return exitCode;
}

function asBug(error: unknown): RrrError {
  return new BugError(error instanceof Error ? error.message : String(error));
}

function renderStack(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${renderStack(error.cause)}` : '';
  return `${error.stack}${cause}`;
}

function writeJson(error: object): void {
  process.stdout.write(`${JSON.stringify({ error })}\n`);
}
