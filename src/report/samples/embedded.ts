/**
 * All samples within the page. What is filtered by lies in columns, apart from the texts: those are read block by block, when
 * they are looked at or searched. Index and blocks are JSON, gzipped, in base64. The page and its script share these types.
 */
import type { EpisodeResult } from '../../protocol/methods.ts';

export interface EmbeddedIndex {
  task: string;
  arms: { name: string; label: string }[];
  decodings: string[];
  /** Kinds of verdicts; "passed" is one. */
  kinds: string[];
  /** Names of the comparisons of `columns.changes`. */
  comparisons: string[];
  /** The first case of each block. */
  blocks: number[];
  columns: Columns;
}

/** An element for each case, in the order of the blocks. */
export interface Columns {
  /** As in EmbeddedIndex.decodings, by number. */
  decoding: number[];
  id: string[];
  sample: number[];
  /** The query in a line. */
  title: string[];
  /** By comparison: 0 where the case doesn't count, else one more than the number of the change in CHANGES. */
  changes: number[][];
  /** By arm. */
  arms: ArmColumns[];
}

/** Verdicts by the number of their kind, -1 where there is no such answer; `last` is -1 where the arm has no episode. */
export interface ArmColumns {
  first: number[];
  last: number[];
  /** Tokens of each part, the rounds added up. */
  tokens: Record<'first' | 'reflection' | 'retry', number[]>;
  /** Which parts were cut at the limit: 1 the first answer, 2 a reflection, 4 a retry. */
  cut: number[];
}

/** A case as it lies in a block. */
export interface EmbeddedCase {
  id: string;
  sample: number;
  decoding: string;
  /** JSON. */
  fields: string;
  /** By the arm's name. */
  episodes: Record<string, EpisodeResult>;
}
