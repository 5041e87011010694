/** Which cases meet the criteria: by the columns alone, in a few milliseconds for tens of thousands. */
import { CHANGES, type Criteria, PARTS, type Part } from '../samples/criteria.ts';
import type { ArmColumns, EmbeddedIndex } from '../samples/embedded.ts';

const CUT = { first: 1, reflection: 2, retry: 4 } as const;

/** Numbers of the cases, in their order. `criteria.text` is not looked at. */
export function filterCases(index: EmbeddedIndex, criteria: Criteria): number[] {
  const { columns, decodings, comparisons, arms } = index;
  const { decoding, change, arm } = criteria;
  const wanted = decoding ? decodings.indexOf(decoding) : null;
  const [name = '', end = ''] = change?.split('.') ?? [];
  const changes = change ? columns.changes[comparisons.indexOf(name)] : null;
  const changed = CHANGES.findIndex(([change]) => change === end) + 1;
  const looked = columns.arms.filter((_, number) => !arm || arms[number]?.name === arm);
  const meets = armTest(index, criteria);
  const found: number[] = [];
  for (let number = 0; number < columns.id.length; number++) {
    if (wanted !== null && columns.decoding[number] !== wanted) continue;
    if (changes !== null && changes?.[number] !== changed) continue;
    if (looked.some((columns) => columns.last[number] !== -1 && meets(columns, number))) found.push(number);
  }
  return found;
}

function armTest({ kinds }: EmbeddedIndex, criteria: Criteria): (arm: ArmColumns, number: number) => boolean {
  const { first, last, part, from, to, cut } = criteria;
  // A kind that nothing has is equal to none, not to -1.
  const numberOf = (kind: string) => (kinds.includes(kind) ? kinds.indexOf(kind) : Number.NaN);
  const passed = numberOf('passed');
  const ended = (wanted: string | undefined): ((kind: number | undefined) => boolean) => {
    if (!wanted) return () => true;
    if (wanted === 'right') return (kind) => kind === passed;
    if (wanted === 'wrong') return (kind) => kind !== passed && kind !== -1;
    const number = numberOf(wanted);
    return (kind) => kind === number;
  };
  const [firstEnded, lastEnded] = [ended(first), ended(last)];
  const parts: readonly Part[] = part ? [part] : PARTS;
  const bits = parts.reduce((sum, each) => sum + CUT[each], 0);
  return (arm, number) => {
    if (!firstEnded(arm.first[number]) || !lastEnded(arm.last[number])) return false;
    if (cut && !((arm.cut[number] ?? 0) & bits)) return false;
    if (from === undefined && to === undefined) return true;
    const tokens = parts.reduce((sum, each) => sum + (arm.tokens[each][number] ?? 0), 0);
    return tokens >= (from ?? 0) && tokens <= (to ?? Number.POSITIVE_INFINITY);
  };
}
