/** The samples as rows, for samples.csv and samples.parquet: the query, then a row for every completion. */
import type { Case } from '../cases.ts';

/** In their order. */
export const COLUMNS = {
  decoding: 'STRING',
  sample: 'INT32',
  id: 'STRING',
  /** Empty in the row of the query. */
  arm: 'STRING',
  /** query, first, reflection or retry. */
  step: 'STRING',
  /** 0: the first answer. */
  round: 'INT32',
  /** Of the query its fields, as JSON. */
  text: 'STRING',
  tokens: 'INT32',
  prompt_tokens: 'INT32',
  truncated: 'BOOLEAN',
  passed: 'BOOLEAN',
  kind: 'STRING',
  detail: 'STRING',
} as const;

/** As in COLUMNS; null where there is none. */
export type Row = readonly (string | number | boolean | null)[];

interface Completion {
  completion: string;
  tokens: number;
  prompt_tokens?: number | undefined;
  finish_reason: string;
  verdict?: { passed: boolean; kind: string; detail: string };
}

export function* rowsOf(cases: readonly Case[]): Generator<Row> {
  for (const { decoding, sample, id, fields, episodes } of cases) {
    const place = [decoding, sample, id] as const;
    yield [...place, '', 'query', 0, fields.text, null, null, null, null, null, null];
    for (const [arm, { first, rounds }] of Object.entries(episodes)) {
      const row = (step: string, round: number, made: Completion): Row => [
        ...place,
        arm,
        step,
        round,
        made.completion,
        made.tokens,
        made.prompt_tokens ?? null,
        made.finish_reason === 'length',
        made.verdict?.passed ?? null,
        made.verdict?.kind ?? null,
        made.verdict?.detail ?? null,
      ];
      if (first) yield row('first', 0, first);
      for (const [index, { reflection, retry }] of rounds.entries()) {
        if (reflection) yield row('reflection', index + 1, reflection);
        yield row('retry', index + 1, retry);
      }
    }
  }
}
