/** `rrr run --smoke`: what a smoke run is made of, and what is said of it. */
import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/schema.ts';
import { SMOKE, SMOKE_TOKENS, smokeConfig } from '../config/smoke.ts';
import { UserError } from '../errors.ts';
import { tinyModelLink } from '../launch/environment.ts';
import { makeDirectory } from '../run/directory.ts';
import { readJson, replaceJson } from '../run/files.ts';
import { readLivingHolder } from '../run/lock.ts';
import { runPaths } from '../run/paths.ts';
import { failuresSummary } from '../run/records.ts';
import type { Context, Outcome } from '../terminal/context.ts';
import { requireConfig } from '../terminal/require-config.ts';
import { runDirectory, type StageOptions } from './stage.ts';

const TINY = tinyModelLink(process.env);
/** Makes a directory one of a smoke run, which the next one may replace. */
const MARK = 'smoke.json';
const MEANING = 'the numbers of a smoke run mean nothing: a tiny model, few rows, two steps';

export interface SmokeRun {
  config: Config;
  /** Beside the directory of the real run. */
  run: string;
}

/** Throws UserError where the config has problems, or the tiny model is missing. Nothing is made yet. */
export function planSmoke(context: Context, options: StageOptions): SmokeRun {
  if (!existsSync(join(TINY, 'config.json'))) {
    throw new UserError(`a smoke run needs the tiny model, and there is no ${TINY}`, {
      cure: 'rrr setup --tiny-model makes it, once, in about 8 minutes',
    });
  }
  // The models of the real run need not be on this machine.
  const named = `{name: ${JSON.stringify(TINY)}, max_model_len: ${Number.MAX_SAFE_INTEGER}}`;
  const set = [...(options.set ?? []), `model=${named}`, `eval.model=${JSON.stringify(TINY)}`];
  const run = `${runDirectory(context, options)}-smoke`;
  return { config: smokeConfig(requireConfig(context, { ...options, set }), join(run, 'model')), run };
}

/** Makes the run directory, with its model; what an earlier smoke run left goes, unless this one goes on with it. */
export function prepareSmoke({ run }: SmokeRun, { resume }: StageOptions): void {
  const mark = join(run, MARK);
  if (resume && existsSync(mark)) return;
  if (existsSync(run)) clear(run, mark);
  makeDirectory(run);
  replaceJson(mark, { meaning: MEANING });
  const model = join(run, 'model');
  mkdirSync(model);
  cpSync(TINY, model, { recursive: true, dereference: true });
  const file = join(model, 'config.json');
  replaceJson(file, { ...(readJson(file) as object), max_position_embeddings: SMOKE_TOKENS });
}

function clear(run: string, mark: string): void {
  if (!existsSync(mark)) {
    throw new UserError(`${run} is there, and no smoke run made it`, {
      cure: 'name another run directory (--run); a smoke run adds -smoke to it',
    });
  }
  const holder = readLivingHolder(runPaths(run).lock);
  if (holder) {
    throw new UserError(`another smoke run works in ${run}: process ${holder.pid} on ${holder.host}`, {
      cure: 'wait for it, stop it, or name another run directory (--run)',
    });
  }
  rmSync(run, { recursive: true });
}

/** Throws UserError where there is nothing for the stages after the failures to do. */
export function requireFailures({ run }: SmokeRun): void {
  const { kept, draws } = failuresSummary.parse(readJson(runPaths(run).failuresSummary));
  if (kept > 0) return;
  throw new UserError(
    `no failure in ${draws} draws: the verifier passed all that the tiny model said, so there is nothing to reflect on, and training and evaluation were not tried`,
    { cure: 'a verifier that passes a tiny model may pass anything: rrr task check shows its verdicts' },
  );
}

/** The outcome of the run, which says first what it is. */
export function asSmoke({ run }: SmokeRun, { text, json }: Outcome): Outcome {
  const { kinds, draws, too_long } = failuresSummary.parse(readJson(runPaths(run).failuresSummary));
  const verdicts = Object.entries(kinds).map(([kind, count]) => `${kind} ${count}`);
  const lines = [
    `SMOKE RUN: ${MEANING} (${SMOKE.rows} rows at most).`,
    `What ran: data, prompts, verifier, training and evaluation. Of ${draws} draws: ${verdicts.join(', ')}.`,
    ...(too_long > 0
      ? [`${too_long} queries were too long for its ${SMOKE_TOKENS} tokens, and left out.`]
      : []),
    '',
    text,
  ];
  return { text: lines.join('\n'), json: { smoke: true, meaning: MEANING, kinds, ...(json as object) } };
}
