/** What is looked for among the samples, and how a link says it: #samples?arm=base&first=right. The page and its script share it. */

export const PARTS = ['first', 'reflection', 'retry'] as const;
export type Part = (typeof PARTS)[number];

/** How a pair of tries ended, before and after: as a link to samples names it, and in words. */
export const CHANGES = [
  ['both', 'right → right'],
  ['lost', 'right → wrong'],
  ['won', 'wrong → right'],
  ['neither', 'wrong → wrong'],
] as const;

/** Every one of them may be left out. */
export interface Criteria {
  decoding?: string;
  /** Name of a comparison and how its two tries ended, such as second_try.won. */
  change?: string;
  /** Name of an arm, that all of the following are about; without it, one arm must meet them. */
  arm?: string;
  /** How the first and the last answer ended: right, wrong, or a kind of verdict. */
  first?: string;
  last?: string;
  /** What the following three are about; without it, all that the arm wrote. */
  part?: Part;
  /** Tokens, from and to. */
  from?: number;
  to?: number;
  /** Cut at the token limit. */
  cut?: boolean;
  /** Without regard to case. */
  text?: string;
}

/** The criteria, and the sample that is open: its decoding, number and query's id, as in "sampled.0.81377bd7d040faea". */
export interface Place extends Criteria {
  sample?: string;
}

const START = '#samples?';

export function toHash(place: Place): string {
  const said = Object.entries(place).filter(
    ([, value]) => value !== undefined && value !== '' && value !== false,
  );
  return (
    START + new URLSearchParams(said.map(([key, value]): [string, string] => [key, String(value)])).toString()
  );
}

/** Null where the hash is of no sample. */
export function fromHash(hash: string): Place | null {
  if (!hash.startsWith(START)) return null;
  const { from, to, cut, part, ...texts } = Object.fromEntries(new URLSearchParams(hash.slice(START.length)));
  const found = PARTS.find((each) => each === part);
  return {
    ...texts,
    ...(found && { part: found }),
    ...(from && { from: Number(from) }),
    ...(to && { to: Number(to) }),
    ...(cut && { cut: true }),
  };
}
