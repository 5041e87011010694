/** RUN/eval/journal.jsonl: which episodes are done, and what of them later arms go on from. */
import type { EpisodeResult, Query } from '../../protocol/methods.ts';
import type { Arm, Follows, Mode } from '../../report/arms.ts';
import type { Decoding } from '../../report/report.ts';
import { Journal } from '../../run/journal.ts';
import { type EvalRecord, evalRecord } from '../../run/records.ts';

export interface OwedEpisode {
  arm: Arm;
  decoding: Decoding;
  /** Number of the query's sample, from 0. */
  sample: number;
  query: Query;
  /** The answer that the arm goes on from; null where it makes a first try of its own. */
  failedAnswer: string | null;
  /** What the arm is given in place of a reflection of its own. */
  reflection?: string;
  /** Completion tokens that it may spend. */
  tokens?: number;
}

type Key = Omit<EvalRecord, 'episode'>;

/** What is remembered of an episode. */
interface Done {
  failedAnswer?: string;
  reflection?: string;
  tokens: number;
}

export class Ledger {
  readonly #done = new Map<string, Done>();
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

  /** The arm's episodes that are not done. The arms that it needs are. */
  owed(arm: Arm, modes: readonly Mode[], queries: readonly Query[]): OwedEpisode[] {
    return modes.flatMap(({ decoding, samples }) =>
      Array.from({ length: samples }, (_, sample) => this.#owedOf(arm, decoding, sample, queries)).flat(),
    );
  }

  #owedOf(arm: Arm, decoding: Decoding, sample: number, queries: readonly Query[]): OwedEpisode[] {
    const find = (name: string, { id }: Query) => this.#done.get(keyOf({ arm: name, decoding, sample, id }));
    const starts: OwedEpisode[] = queries.flatMap((query) => {
      const failedAnswer = arm.failuresOf === null ? null : find(arm.failuresOf, query)?.failedAnswer;
      return failedAnswer === undefined ? [] : [{ arm, decoding, sample, query, failedAnswer }];
    });
    return prepare(starts, arm.follows, find).filter(({ query }) => !find(arm.name, query));
  }

  #note({ episode, ...key }: EvalRecord): void {
    const { first, rounds } = episode;
    const reflection = rounds[0]?.reflection?.completion;
    this.#done.set(keyOf(key), {
      ...(first && !first.verdict.passed && { failedAnswer: first.completion }),
      ...(reflection !== undefined && { reflection }),
      tokens: tokensAfterFirst(episode),
    });
  }
}

/** Each with what follows its failed answer. `find`: what an arm has done with a query. */
function prepare(
  starts: readonly OwedEpisode[],
  follows: Follows,
  find: (arm: string, query: Query) => Done | undefined,
): readonly OwedEpisode[] {
  switch (follows.kind) {
    case 'given':
      return giveReflections(
        starts,
        follows.on === 'another query',
        (query) => find(follows.by, query)?.reflection,
      );
    case 'sample': {
      const { spendAs } = follows;
      const tokensOf = (query: Query) => (spendAs === null ? 1 : (find(spendAs, query)?.tokens ?? 1));
      return starts.map((start) => ({ ...start, tokens: tokensOf(start.query) }));
    }
    default:
      return starts;
  }
}

/**
 * Each with its query's reflection or, a donor's, with that of the next failure that has one, the last with the first's. Those
 * for which there is none are left out.
 */
function giveReflections(
  starts: readonly OwedEpisode[],
  ofAnother: boolean,
  find: (query: Query) => string | undefined,
): OwedEpisode[] {
  const donors = starts.flatMap(({ query }) => {
    const reflection = find(query);
    return reflection === undefined ? [] : [{ id: query.id, reflection }];
  });
  const shift = ofAnother ? 1 : 0;
  if (donors.length <= shift) return [];
  const given = new Map(
    donors.map(({ id }, index) => [id, donors[(index + shift) % donors.length]?.reflection]),
  );
  return starts.flatMap((start) => {
    const reflection = given.get(start.query.id);
    return reflection === undefined ? [] : [{ ...start, reflection }];
  });
}

/** Completion tokens of the reflections and retries. */
function tokensAfterFirst({ rounds }: EpisodeResult): number {
  return rounds.reduce((sum, { reflection, retry }) => sum + (reflection?.tokens ?? 0) + retry.tokens, 0);
}

function keyOf({ arm, decoding, sample, id }: Key): string {
  return `${arm} ${decoding} ${sample} ${id}`;
}
