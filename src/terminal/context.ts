/** What every command takes and gives back. */
import type { Invocation } from './command-line.ts';

export interface Context extends Invocation {
  /** Aborted by the first Ctrl-C: finish what runs, start nothing new. */
  signal: AbortSignal;
  /** For the command that shows lines as they come; an Outcome is shown by main.ts. */
  stdout: NodeJS.WriteStream;
  /** For people and only while the command runs: progress, warnings. */
  stderr: NodeJS.WriteStream;
}

/** What a finished command shows: text for people, or one JSON object with --json. */
export interface Outcome {
  text: string;
  json: unknown;
  /** Other than 0 where what was shown is bad news for the user: 2. */
  exitCode?: number;
}

/** Aborted by Ctrl-C, and when nobody reads stdout any more, as in `rrr logs RUN --follow | head`. */
export function untilUnread({ stdout, signal }: Context): AbortSignal {
  const unread = new AbortController();
  stdout.on('error', () => unread.abort());
  return AbortSignal.any([signal, unread.signal]);
}
