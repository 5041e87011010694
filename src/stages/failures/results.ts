/** The results of the queries so far: on disk, with only their offsets and sums in memory. */
import { addCounts } from '../../counts.ts';
import { RunError } from '../../errors.ts';
import type { FailuresResult, Query } from '../../protocol/methods.ts';
import { Journal } from '../../run/journal.ts';
import { OffsetIndex } from '../../run/offset-index.ts';
import { type FailuresSummary, failuresJournalRecord } from '../../run/records.ts';

/** What can be summed as results come; the pass rate is a mean over the tallies. */
export type FailuresSums = Omit<FailuresSummary, 'pass_rate'>;

export class FailureResults {
  readonly #journal: Journal;
  readonly #offsets: OffsetIndex;
  readonly sums: FailuresSums;

  private constructor(journal: Journal, offsets: OffsetIndex, sums: FailuresSums) {
    this.#journal = journal;
    this.#offsets = offsets;
    this.sums = sums;
  }

  static async open(path: string): Promise<FailureResults> {
    const offsets = new OffsetIndex();
    const sums = emptySums();
    const journal = await Journal.open(path, (line, offset) => {
      const { index, result } = failuresJournalRecord.parse(line);
      offsets.set(index, offset);
      addTo(sums, result);
    });
    return new FailureResults(journal, offsets, sums);
  }

  has({ index }: Query): boolean {
    return this.#offsets.has(index);
  }

  add({ id, index }: Query, result: FailuresResult): void {
    this.#offsets.set(index, this.#journal.append({ id, index, result }));
    addTo(this.sums, result);
  }

  /** Throws RunError where there is none. */
  resultOf({ id, index }: Query): FailuresResult {
    const offset = this.#offsets.get(index);
    const record =
      offset === undefined ? undefined : failuresJournalRecord.parse(this.#journal.readAt(offset));
    if (record?.id !== id) throw new RunError(`the journal of failures holds no result of query ${id}`);
    return record.result;
  }

  close(): void {
    this.#journal.close();
  }
}

function emptySums(): FailuresSums {
  const zero = { queries: 0, kept: 0, failures: 0, too_long: 0, refused: 0, draws: 0, wasted_draws: 0 };
  return { ...zero, kinds: {}, prompt_tokens: 0, completion_tokens: 0 };
}

function addTo(sums: FailuresSums, result: FailuresResult): void {
  sums.queries += 1;
  sums.kept += result.failures.length > 0 ? 1 : 0;
  sums.failures += result.failures.length;
  sums.too_long += result.left_out?.kind === 'prompt_too_long' ? 1 : 0;
  sums.refused += result.left_out?.kind === 'refused' ? 1 : 0;
  sums.draws += result.draws;
  sums.wasted_draws += result.wasted_draws;
  sums.prompt_tokens += result.prompt_tokens;
  sums.completion_tokens += result.completion_tokens;
  addCounts(sums.kinds, result.kinds);
}
