/**
 * A config from its file to what the run uses: YAML and `--set`, the schema, resolved defaults and paths, the rules
 * between keys. Returns every problem at once and never prints.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { getSystemErrorMap } from 'node:util';
import { closestMatch } from 'leven';
import { stringify } from 'yaml';
import type { z } from 'zod';
import { clip } from '../text.ts';
import { resolveUserPath } from '../user-path.ts';
import {
  type ConfigDocument,
  type ConfigText,
  type Place,
  type Problem,
  parseConfigDocument,
} from './document.ts';
import { describeExpected, keysAt, keysNamed, type Path, schemaAt } from './expected.ts';
import type { Finding } from './finding.ts';
import { checkRules } from './rules.ts';
import { type Config, configSchema, type WrittenConfig } from './schema.ts';
import { isRecord } from './set-value.ts';

export interface LoadedConfig {
  /** Absent when there are problems. */
  config?: Config;
  problems: Problem[];
  warnings: Problem[];
}

export interface ConfigRequest {
  file: string;
  sets: readonly string[];
  cwd: string;
}

export function loadConfig(request: ConfigRequest): LoadedConfig {
  const { file, cwd } = request;
  let text: string;
  try {
    text = readFileSync(resolve(cwd, file), 'utf8');
  } catch (error) {
    const why = getSystemErrorMap().get((error as NodeJS.ErrnoException).errno ?? 0)?.[1] ?? String(error);
    const cure = 'name a config with -c FILE; the ones to start from are in configs/';
    return { problems: [{ key: '', message: `can't read ${file}: ${why}`, cure }], warnings: [] };
  }
  return parseConfig({ ...request, text });
}

/** The same of a `text` that `file` holds, or is to hold. */
export function parseConfig(request: ConfigText): LoadedConfig {
  const { cwd } = request;
  const document = parseConfigDocument(request);
  if (document.problems.length > 0) return { problems: document.problems, warnings: [] };

  const written = withEmptied(document.value);
  const parsed = configSchema.safeParse(written);
  const issues = parsed.success ? [] : parsed.error.issues.flatMap(splitIssue);
  const problems = issues.map((issue) => describeIssue(issue, { ...document, value: written }));

  // The rules see what is left when the wrong values are taken out, so that one run shows the problems of both kinds.
  const rest = parsed.success ? parsed : configSchema.safeParse(withoutValues(written, issues));
  const config = rest.success ? resolveConfig(rest.data, document, cwd) : undefined;
  const warnings: Problem[] = [];
  for (const finding of config ? checkRules(config) : []) {
    if (issues.some(({ path }) => concerns(finding, path))) continue;
    (finding.warning ? warnings : problems).push(placeFinding(finding, document));
  }
  problems.sort((a, b) => (a.place?.line ?? 0) - (b.place?.line ?? 0));
  return problems.length === 0 && config ? { config, problems, warnings } : { problems, warnings };
}

/** A section whose keys were all taken out, or made into comments, has its defaults. */
function withEmptied(value: unknown, path: Path = []): unknown {
  const schema = schemaAt(path);
  const mayBeEmpty = schema?.type === 'object' && (schema.default !== undefined || path.length === 1);
  if (value === null && mayBeEmpty) return {};
  if (!isRecord(value) || schema?.properties === undefined) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => [key, withEmptied(child, [...path, key])]),
  );
}

interface Issue {
  path: Path;
  unknown: boolean;
}

function splitIssue(issue: z.core.$ZodIssue): Issue[] {
  if (issue.code !== 'unrecognized_keys') return [{ path: issue.path, unknown: false }];
  return issue.keys.map((key) => ({ path: [...issue.path, key], unknown: true }));
}

function describeIssue({ path, unknown }: Issue, document: ConfigDocument): Problem {
  const key = path.map(String).join('.');
  const place = document.placeOf(path, unknown ? 'key' : 'value');
  const problem = (message: string, cure: string): Problem => ({
    key,
    message,
    cure,
    ...(place && { place }),
  });
  if (unknown) {
    const known = keysAt(path.slice(0, -1));
    const name = String(path.at(-1));
    const [elsewhere, another] = keysNamed(name);
    const suggestion = elsewhere && !another ? `the key of this name is ${elsewhere}` : suggest(name, known);
    return problem('no such key', suggestion ?? `the keys here are: ${known.join(', ')}`);
  }
  const schema = schemaAt(path);
  const keys = keysAt(path);
  const expected = describeExpected(schema);
  const write = keys.length > 0 ? `write some of the keys ${keys.join(', ')}` : `write ${expected}`;
  const value = valueAt(document.value, path);
  if (value === undefined)
    return problem('is missing', schema?.description ? `${write}: ${schema.description}` : write);
  const remove =
    schema?.default === undefined
      ? ''
      : `, or remove it${isRecord(schema.default) ? '' : `: the default is ${show(schema.default)}`}`;
  const suggestion = suggest(value, (schema?.enum ?? []).map(String));
  if (schema?.type === 'string' && (typeof value === 'number' || typeof value === 'boolean'))
    return problem(`must be ${expected}, is ${show(value)}`, `quote it: "${asWritten(place) ?? value}"`);
  return problem(`must be ${expected}, is ${show(value)}`, suggestion ?? write + remove);
}

function asWritten(place: Place | undefined): string | undefined {
  return place?.text.slice(place.column - 1, place.column - 1 + place.width);
}

function suggest(written: unknown, known: readonly string[]): string | undefined {
  if (typeof written !== 'string' || written === '') return undefined;
  const name = written.toLowerCase();
  const close =
    onlyOne(known.filter((key) => initials(key) === name)) ??
    known.find((key) => key.startsWith(name)) ??
    onlyOne(known.filter((key) => key.split('_').includes(name))) ??
    closestMatch(name, known, { maxDistance: Math.min(3, Math.ceil(name.length / 3)) });
  return close && `did you mean ${close}?`;
}

/** "lr" of learning_rate; of a single word there are none. */
function initials(key: string): string | undefined {
  const words = key.split('_');
  return words.length > 1 ? words.map((word) => word[0]).join('') : undefined;
}

function onlyOne(found: readonly string[]): string | undefined {
  return found.length === 1 ? found[0] : undefined;
}

function show(value: unknown): string {
  if (value === null) return 'empty';
  if (typeof value === 'number' && !Number.isFinite(value)) return stringify(value).trim();
  return clip(JSON.stringify(value), 60);
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (at, segment) => (at as Record<PropertyKey, unknown> | undefined)?.[segment],
    value,
  );
}

/** The value without what has a problem, and with something harmless for what is required and missing. */
function withoutValues(value: unknown, issues: readonly Issue[]): unknown {
  const rest: unknown = structuredClone(value);
  for (const { path } of issues) {
    const parent = valueAt(rest, path.slice(0, -1));
    // A list with a wrong item goes as a whole: its length may be what a rule is about.
    if (Array.isArray(parent))
      delete (valueAt(rest, path.slice(0, -2)) as Record<PropertyKey, unknown>)[path.at(-2) as string];
    else if (isRecord(parent)) delete parent[String(path.at(-1))];
  }
  if (!isRecord(rest)) return rest;
  return {
    ...rest,
    model: { name: 'missing', ...(rest.model as object) },
    data: { source: 'hub', ...(rest.data as object) },
  };
}

/** Whether a finding rests on a value that was taken out or put in. */
function concerns(finding: Finding, path: Path): boolean {
  const wrong = path.join('.');
  return finding.keys.some(
    (key) => key === wrong || wrong === '' || key.startsWith(`${wrong}.`) || wrong.startsWith(`${key}.`),
  );
}

/** A finding points at the first of its keys that is written: the others have their defaults. */
function placeFinding({ keys, message, cure }: Finding, document: ConfigDocument): Problem {
  const key = keys.find((candidate) => document.isWritten(candidate.split('.'))) ?? keys[0];
  const place = document.placeOf(key.split('.'), 'value');
  return { key, message, cure, ...(place && { place }) };
}

/** Defaults that depend on other keys, and paths made absolute. */
function resolveConfig(written: WrittenConfig, document: ConfigDocument, cwd: string): Config {
  const config: Config = {
    ...written,
    model: { ...written.model },
    task: { ...written.task },
    data: { ...written.data, train_fraction: written.data.train_fraction ?? 1 - written.data.test_fraction },
    eval: { ...written.eval },
    benchmarks: { ...written.benchmarks },
  };
  const absolute = (path: string, ...key: string[]) =>
    resolveUserPath(resolve(cwd, document.folderOf(key)), path);
  if (isFolder(config.model.name)) config.model.name = absolute(config.model.name, 'model', 'name');
  if (config.eval.model !== undefined && isFolder(config.eval.model))
    config.eval.model = absolute(config.eval.model, 'eval', 'model');
  config.eval.baselines = config.eval.baselines.map((baseline, index) =>
    baseline.model !== undefined && isFolder(baseline.model)
      ? { ...baseline, model: absolute(baseline.model, 'eval', 'baselines', String(index), 'model') }
      : baseline,
  );
  if (config.data.path !== undefined) config.data.path = absolute(config.data.path, 'data', 'path');
  if (config.benchmarks.path !== undefined)
    config.benchmarks.path = absolute(config.benchmarks.path, 'benchmarks', 'path');
  config.task.name = config.task.name.replace(/^(.+\.py)(?=:)/, (path) => absolute(path, 'task', 'name'));
  if (config.task.verifier !== undefined) {
    const command = config.task.verifier.command.map((word, index) =>
      /^(\.{1,2}|~)\//.test(word) ? absolute(word, 'task', 'verifier', 'command', String(index)) : word,
    );
    config.task.verifier = { ...config.task.verifier, command };
  }
  if (config.python !== undefined) config.python = absolute(config.python, 'python');
  return config;
}

const isFolder = (model: string) => /^(\.{1,2}\/|\/|~)/.test(model);
