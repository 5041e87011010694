/** What `--set key=value` does to the config that a file wrote. */
import { isScalar, Scalar, type Document as YamlDocument } from 'yaml';
import { schemaAt } from './expected.ts';

/** A value that can't be set there; the message and the cure are for the user. */
export class NotSettable extends Error {
  constructor(
    readonly key: string,
    message: string,
    readonly cure: string,
  ) {
    super(message);
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * `value` with `leaf` at `path`. Sections that aren't there are made; a number is an item of a list, counted from 0, also of
 * the list that is the default. Throws NotSettable where a part of the path is neither a section nor a list with that item.
 */
export function setIn(value: unknown, path: readonly string[], leaf: unknown, depth = 0): unknown {
  const head = path[depth];
  if (head === undefined) return leaf;
  const at = path.slice(0, depth);
  const here = value ?? defaultList(at) ?? {};
  if (Array.isArray(here))
    return here.with(indexIn(here, head, at), setIn(here[Number(head)], path, leaf, depth + 1));
  if (isRecord(here)) return { ...here, [head]: setIn(here[head], path, leaf, depth + 1) };
  const key = at.join('.');
  throw new NotSettable(
    key,
    `is ${JSON.stringify(here)}, which has no ${head}`,
    `set ${key} itself, or correct the key`,
  );
}

function defaultList(path: readonly string[]): unknown[] | undefined {
  const value = schemaAt(path)?.default;
  return Array.isArray(value) ? value : undefined;
}

function indexIn(list: readonly unknown[], head: string, at: readonly string[]): number {
  if (/^\d+$/.test(head) && Number(head) < list.length) return Number(head);
  const key = at.join('.');
  const items = list.length === 1 ? 'item 0 alone' : `items 0 to ${list.length - 1}`;
  throw new NotSettable(
    key,
    `has no item ${head}: it is a list with ${items}`,
    `name one of these, or set the whole list: --set '${key}=[...]'`,
  );
}

/** For a key that holds text the value is that text, whatever YAML would make of it; quotes around all of it are dropped. */
export function asText(yaml: YamlDocument, path: readonly string[], text: string): YamlDocument {
  if (schemaAt(path)?.type !== 'string' || isQuoted(yaml)) return yaml;
  const scalar = new Scalar(text);
  scalar.range = [0, text.length, text.length];
  yaml.contents = scalar as never;
  yaml.errors = [];
  return yaml;
}

function isQuoted({ contents, errors }: YamlDocument): boolean {
  return errors.length === 0 && isScalar(contents) && `${contents.type}`.startsWith('QUOTE_');
}
