/** Tables as every renderer shows them. */

/** A table: its head, then its rows. */
export type Table = readonly (readonly string[])[];

export interface TitledTable {
  title: string;
  table: Table;
  note?: string;
}
