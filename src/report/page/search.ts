/** Search in all texts: lower-case, a string for each block, with where each text begins. */
import type { Attempt } from '../../protocol/methods.ts';
import { type Criteria, PARTS, type Part } from '../samples/criteria.ts';
import { describeQuery, showCalls } from '../samples/describe.ts';
import type { EmbeddedCase } from '../samples/embedded.ts';

/** Between texts: a line break, which nobody can type into the field. */
const BETWEEN = '\n';

interface BlockText {
  /** The number of its first case. */
  start: number;
  text: string;
  /** Of each text: its end, the case it is of, its arm, and which part of it; the query's arm and part are null. */
  ends: number[];
  cases: number[];
  arms: (string | null)[];
  parts: (Part | null)[];
}

export class TextSearch {
  readonly #blocks: BlockText[] = [];

  add(start: number, cases: readonly EmbeddedCase[]): void {
    const block: BlockText = { start, text: '', ends: [], cases: [], arms: [], parts: [] };
    const texts: string[] = [];
    let end = 0;
    for (const [offset, each] of cases.entries()) {
      for (const { arm, part, text } of textsOf(each)) {
        const lower = fold(text);
        texts.push(lower);
        end += lower.length + BETWEEN.length;
        block.ends.push(end);
        block.cases.push(start + offset);
        block.arms.push(arm);
        block.parts.push(part);
      }
    }
    block.text = texts.join(BETWEEN);
    this.#blocks.push(block);
  }

  /** Numbers of the cases that have the text, of an arm and a part where the criteria name them. */
  find({ text = '', arm, part }: Criteria): Set<number> {
    const wanted = fold(text);
    const found = new Set<number>();
    const isOf = (textArm: string | null, textPart: Part | null) =>
      (!part || textPart === part) && (!arm || textArm === arm || textArm === null);
    for (const { text, ends, cases, arms, parts } of this.#blocks) {
      let place = 0;
      for (let at = text.indexOf(wanted); at !== -1; ) {
        while ((ends[place] as number) <= at) place++;
        const fits = isOf(arms[place] ?? null, parts[place] ?? null);
        const of = cases[place] as number;
        if (fits) found.add(of);
        // Nothing more is to be learnt of this text or, where it fits, of its case.
        do place++;
        while (fits && cases[place] === of);
        at = text.indexOf(wanted, ends[place - 1]);
      }
    }
    return found;
  }
}

/** Lower case of the same length for all letters but one, so that places stay. */
function fold(text: string): string {
  return text.replaceAll('İ', 'i').toLowerCase();
}

function* textsOf({
  fields,
  episodes,
}: EmbeddedCase): Generator<{ arm: string | null; part: Part | null; text: string }> {
  const { title, more } = describeQuery(fields);
  yield { arm: null, part: null, text: [title, ...more.map(([, text]) => text)].join(BETWEEN) };
  for (const [arm, { first, rounds }] of Object.entries(episodes)) {
    const said: Record<Part, string[]> = {
      first: first ? textsOfAnswer(first) : [],
      reflection: rounds.flatMap(({ reflection }) => reflection?.completion ?? []),
      retry: rounds.flatMap(({ retry }) => textsOfAnswer(retry)),
    };
    for (const part of PARTS) yield { arm, part, text: said[part].join(BETWEEN) };
  }
}

/** As it was written and, where that differs, as it is shown. */
function textsOfAnswer({ completion, verdict }: Attempt): string[] {
  return [...new Set([completion, showCalls(completion), verdict.detail])];
}
