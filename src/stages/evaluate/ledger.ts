/** RUN/eval/journal.jsonl: which episodes are done, and the answers that failed at the first try. */
import type { Query } from '../../protocol/methods.ts';
import type { Arm } from '../../report/arms.ts';
import type { Decoding } from '../../report/report.ts';
import { Journal } from '../../run/journal.ts';
import { type EvalRecord, evalRecord } from '../../run/records.ts';

export interface OwedEpisode {
  arm: Arm;
  decoding: Decoding;
  query: Query;
  /** The answer that the arm reflects on; null where it makes a first try of its own. */
  failedAnswer: string | null;
}

type Key = Omit<EvalRecord, 'episode'>;

export class Ledger {
  readonly #done = new Set<string>();
  readonly #failedAnswers = new Map<string, string>();
  #journal!: Journal;

  static async open(path: string): Promise<Ledger> {
    const ledger = new Ledger();
    ledger.#journal = await Journal.open(path, (record) => ledger.#note(evalRecord.parse(record)));
    return ledger;
  }

  append(record: EvalRecord): void {
    this.#journal.append(record);
    this.#note(record);
  }

  close(): void {
    this.#journal.close();
  }

  /** The arm's episodes that are not done. Where it starts from another arm's failures, those are done. */
  owed(arm: Arm, decodings: readonly Decoding[], queries: readonly Query[]): OwedEpisode[] {
    return decodings.flatMap((decoding) =>
      queries.flatMap((query): OwedEpisode[] => {
        const { id } = query;
        if (this.#done.has(keyOf({ arm: arm.name, decoding, id }))) return [];
        if (arm.failuresOf === null) return [{ arm, decoding, query, failedAnswer: null }];
        const failedAnswer = this.#failedAnswers.get(keyOf({ arm: arm.failuresOf, decoding, id }));
        return failedAnswer === undefined ? [] : [{ arm, decoding, query, failedAnswer }];
      }),
    );
  }

  #note(record: EvalRecord): void {
    this.#done.add(keyOf(record));
    const { first } = record.episode;
    if (first && !first.verdict.passed) this.#failedAnswers.set(keyOf(record), first.completion);
  }
}

function keyOf({ arm, decoding, id }: Key): string {
  return `${arm} ${decoding} ${id}`;
}
