/**
 * The config as written: a YAML file with `--set key=value` arguments laid over it, every value with its place,
 * so that a problem found much later can still point at the characters that caused it.
 */
import { dirname } from 'node:path';
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type Document as YamlDocument,
} from 'yaml';
import type { Path } from './expected.ts';
import { asText, NotSettable, setIn } from './set-value.ts';

/** Where something is written. `source` is the file as the user named it, or the whole `--set` argument. */
export interface Place {
  source: string;
  line: number;
  column: number;
  /** The line itself, and how many characters of it the caret underlines. */
  text: string;
  width: number;
}

export interface Problem {
  /** Dotted key, empty for the document as a whole. */
  key: string;
  message: string;
  cure: string;
  place?: Place;
}

interface Layer {
  /** The key this layer's document sits at; empty for the file. */
  at: string[];
  yaml: YamlDocument;
  value: unknown;
  /** Folder that relative paths in this layer are relative to. */
  folder: string;
  place(offset: number, end: number): Place;
  /** `--set` only: the last part of `path` within the argument's key. */
  keyPlace(path: Path): Place;
}

export interface ConfigDocument {
  value: unknown;
  problems: Problem[];
  /** The place of a key or of its value; of the nearest thing above it when it isn't written at all. */
  placeOf(path: Path, what: 'key' | 'value'): Place | undefined;
  isWritten(path: Path): boolean;
  /** The folder that a relative path at `path` is relative to. */
  folderOf(path: Path): string;
}

export interface ConfigText {
  /** As the user named it, for messages. */
  file: string;
  text: string;
  sets: readonly string[];
  cwd: string;
}

export function parseConfigDocument({ file, text, sets, cwd }: ConfigText): ConfigDocument {
  const problems: Problem[] = [];
  const layers = [parseLayer({ at: [], text, source: file, indent: 0, folder: dirname(file) }, problems)];
  let value: unknown = layers[0]?.value ?? {};

  for (const argument of sets) {
    const equals = argument.indexOf('=');
    const at = argument.slice(0, Math.max(equals, 0)).split('.');
    const source = `--set ${argument}`;
    if (at.some((part) => part === '')) {
      problems.push({
        key: '',
        message: `${source} is not of the form key=value`,
        cure: 'write the key with dots, such as --set train.steps=100',
      });
      continue;
    }
    const layer = parseLayer(
      { at, text: argument.slice(equals + 1), source, indent: equals + 7, folder: cwd },
      problems,
    );
    try {
      value = setIn(value, at, layer.value);
      layers.push(layer);
    } catch (error) {
      if (!(error instanceof NotSettable)) throw error;
      const { key, message, cure } = error;
      problems.push({ key, message, cure, place: layer.keyPlace(at) });
    }
  }

  // An index is a number in a path and a text in `--set`.
  const holds = (layer: Layer, path: Path) =>
    layer.at.every((part, index) => path[index] !== undefined && String(path[index]) === part);
  const layerOf = (path: Path) => layers.findLast((layer) => holds(layer, path)) as Layer;
  /** A `--set` below `path`, which so wrote part of it. */
  const setBelow = (path: Path) =>
    layers.findLast(({ at }) => path.every((part, index) => at[index] === String(part)));
  return {
    value,
    problems,
    placeOf: (path, what) => {
      const layer = layerOf(path);
      const { node, exact } = nodeIn(layer, path, what);
      const set =
        what === 'key' && layer.at.length === path.length ? layer : exact ? undefined : setBelow(path);
      if (set?.at.length) return set.keyPlace(path);
      return node?.range ? layer.place(node.range[0], node.range[1]) : undefined;
    },
    isWritten: (path) => nodeIn(layerOf(path), path, 'key').exact,
    folderOf: (path) => layerOf(path).folder,
  };
}

interface LayerText {
  at: string[];
  text: string;
  source: string;
  /** Characters of `source` before `text`, where the source is a single argument. */
  indent: number;
  folder: string;
}

function parseLayer({ at, text, source, indent, folder }: LayerText, problems: Problem[]): Layer {
  const lineCounter = new LineCounter();
  const parsed = parseDocument(text, { lineCounter, merge: true, prettyErrors: false });
  const yaml = at.length > 0 ? asText(parsed, at, text) : parsed;
  const lines = text.split(/\r?\n/);
  const place = (offset: number, end: number): Place => {
    const { line, col } = lineCounter.linePos(offset);
    const lineText = lines[line - 1] ?? '';
    const width = Math.max(1, Math.min(end - offset, lineText.length - col + 1));
    if (at.length === 0) return { source, line, column: col, text: lineText, width };
    return { source, line: 1, column: indent + col, text: source, width };
  };
  for (const error of yaml.errors) {
    const twice = error.code === 'DUPLICATE_KEY';
    problems.push({
      key: at.join('.'),
      message: twice ? 'this key is written twice' : `not YAML: ${error.message}`,
      cure: twice
        ? 'remove one of the two'
        : 'correct the syntax; a value with special characters goes in quotes',
      place: place(...error.pos),
    });
  }
  const keyPlace = (path: Path): Place => {
    const column = '--set '.length + path.slice(0, -1).join('.').length + (path.length > 1 ? 2 : 1);
    return { source, line: 1, column, text: source, width: String(path.at(-1)).length };
  };
  return { at, yaml, value: toValue(yaml, at, problems), folder, place, keyPlace };
}

/** Plain values; an alias without its anchor is found only here, by name and without a place. */
function toValue(yaml: YamlDocument, at: readonly string[], problems: Problem[]): unknown {
  if (yaml.errors.length > 0) return undefined;
  try {
    return yaml.toJS();
  } catch (error) {
    const cure = 'define the anchor before its alias; a text that starts with * goes in quotes';
    problems.push({ key: at.join('.'), message: `not YAML: ${(error as Error).message}`, cure });
    return undefined;
  }
}

/** The node of a key or value; the nearest above it when `exact` is false. */
function nodeIn(layer: Layer, path: Path, what: 'key' | 'value'): { node: Node | undefined; exact: boolean } {
  let below: unknown = layer.yaml.contents;
  let node = layer.at.length > 0 ? (below as Node) : undefined;
  for (const segment of path.slice(layer.at.length)) {
    if (isAlias(below)) below = below.resolve(layer.yaml);
    if (isMap(below)) {
      const pair = below.items.find(({ key }) => isScalar(key) && key.value === segment);
      if (!pair) return { node, exact: false };
      // A section's own place is its key: its value starts on another line.
      node = (what === 'key' || !isOneLine(pair.value) ? pair.key : pair.value) as Node;
      below = pair.value;
    } else if (isSeq(below) && typeof segment === 'number' && below.items[segment]) {
      node = below.items[segment] as Node;
      below = node;
    } else return { node, exact: false };
  }
  return { node, exact: true };
}

function isOneLine(node: unknown): boolean {
  if (isMap(node) || isSeq(node)) return node.flow === true;
  return isScalar(node) && node.range?.[0] !== node.range?.[1];
}
