/** How many queries an evaluation needs, and what the queries of a run can find: the power of its main test, McNemar's. */

import { percent, points } from './format.ts';
import { queriesNeeded, smallestDifference } from './statistics/mcnemar-power.ts';
import type { Table } from './table.ts';

/** All rates, gains and discordant queries are shares between 0 and 1. */
export interface PowerTable {
  /** Queries of the run, and the rate that passed before. */
  n: number;
  before: number;
  gains: { gain: number; discordant: number; queries: number }[];
  /** The smallest gain that `n` queries find with 80 % power; null where they find none. */
  smallest: { gain: number; discordant: number } | null;
}

const GAINS = [0.01, 0.02, 0.05, 0.1];

/**
 * For gains of 1, 2, 5 and 10 points, of those that `before` leaves room for, the queries that find them: with 80 % power
 * at p <= 0.05, one comparison alone and one try a query. `discordant` is the share of queries with two different
 * outcomes that a run has seen; without it the worst is taken, that all queries that can change do. The more queries
 * change both ways, the more are needed. A gain larger than `discordant` takes as many discordant queries as itself.
 */
export function powerTable(run: { n: number; before: number; discordant?: number | undefined }): PowerTable {
  const { n, before } = run;
  const discordant = (gain: number) => {
    const most = 2 * Math.min(before, 1 - before - gain) + gain;
    return Math.max(gain, Math.min(run.discordant ?? 1, most));
  };
  const room = 1 - before;
  const smallest = room > 0 ? smallestDifference(n, discordant, { largest: room }) : null;
  return {
    n,
    before,
    gains: GAINS.filter((gain) => gain <= room + 1e-9).map((gain) => ({
      gain,
      discordant: discordant(gain),
      queries: queriesNeeded({ discordant: discordant(gain), difference: gain }),
    })),
    smallest: smallest === null ? null : { gain: smallest, discordant: discordant(smallest) },
  };
}

export function powerRows({ n, gains, smallest }: PowerTable): Table {
  const row = ({ gain, discordant }: { gain: number; discordant: number }, queries: string) => [
    `${points(gain)} points`,
    `${percent(discordant)} %`,
    queries,
  ];
  return [
    ['gain', 'discordant', 'queries for 80 % power'],
    ...gains.map((needed) => row(needed, `${needed.queries}`)),
    smallest ? row(smallest, `${n}, as here`) : ['none', '', `${n}, as here`],
  ];
}
