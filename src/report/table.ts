/** Tables as every renderer shows them. */
import type { Criteria } from './samples/criteria.ts';

/** A table: its head, then its rows. */
export type Table = readonly (readonly string[])[];

export interface TitledTable {
  title: string;
  table: Table;
  note?: string;
  /** By row and column of the body: the samples behind a number. */
  samples?: readonly (readonly (Criteria | null)[])[];
  /** The same for the share, from 0 to 1, that is drawn as a bar behind it. */
  bars?: readonly (readonly (number | null)[])[];
}
