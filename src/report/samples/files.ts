/** samples.csv (RFC 4180) and samples.parquet, piece by piece: neither need fit in one string. */
import { parquetWriteBuffer } from 'hyparquet-writer';
import { COLUMNS, type Row } from './rows.ts';

const NAMES = Object.keys(COLUMNS) as (keyof typeof COLUMNS)[];

export function* csvLines(rows: Iterable<Row>): Generator<string> {
  yield `${NAMES.join(',')}\r\n`;
  for (const row of rows) yield `${row.map(quote).join(',')}\r\n`;
}

function quote(value: Row[number]): string {
  const text = value === null ? '' : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function parquet(rows: Iterable<Row>): Uint8Array {
  const columns = NAMES.map((name) => ({
    name,
    type: COLUMNS[name],
    nullable: true,
    data: [] as Row[number][],
  }));
  for (const row of rows) for (const [index, value] of row.entries()) columns[index]?.data.push(value);
  return new Uint8Array(parquetWriteBuffer({ columnData: columns }));
}
