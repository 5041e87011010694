/** Command lines to paste: the one that goes on after an interruption, and the one of the next stage. */
import { relative } from 'node:path';
import { quoteWord } from '../text.ts';

export interface Invocation {
  cwd: string;
  /** process.argv[1]. */
  program: string;
  /** What the user wrote after it: the command first. */
  args: readonly string[];
}

/** The line that does the same again; `resumable` commands go on where they were, all others start over. */
export function resumeLine({ cwd, program, args }: Invocation, resumable: readonly string[]): string {
  const again = resumable.includes(args[0] ?? '')
    ? [...args.filter((arg) => arg !== '--resume'), '--resume']
    : args;
  return join([programName(program, cwd), ...again]);
}

/** The same config and run with another command. */
export function nextLine({ cwd, program, args }: Invocation, command: string): string {
  const kept = args.slice(1).filter((arg) => !['--resume', '--json', '--verbose'].includes(arg));
  return join([programName(program, cwd), command, ...kept]);
}

/** A path as short as it is clear. */
export function showPath(path: string, cwd: string): string {
  const short = relative(cwd, path) || '.';
  return short.startsWith('..') ? path : short;
}

function programName(program: string, cwd: string): string {
  if (program.endsWith('/rrr')) return 'rrr';
  const path = showPath(program, cwd);
  return path.startsWith('/') ? path : `./${path}`;
}

function join(words: readonly string[]): string {
  return words.map(quoteWord).join(' ');
}
