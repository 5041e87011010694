/** The samples of a report as elements of its page. */
import { gzipSync } from 'node:zlib';
import type { EpisodeResult } from '../../protocol/methods.ts';
import { armsOf, comparisonsOf } from '../arms.ts';
import { among, type Case, lastOf, PASSED } from '../cases.ts';
import type { ReportInput } from '../report.ts';
import { describeQuery } from './describe.ts';
import type { ArmColumns, Columns, EmbeddedCase, EmbeddedIndex } from './embedded.ts';

/** Characters of JSON: one block is read to show a sample. */
const BLOCK = 1 << 18;
/** Characters of JSON in all: three times what the page grows by, which must stay one string. */
const MOST = 2 ** 29;
const TITLE = 90;

export interface Embedded {
  index: EmbeddedIndex;
  /** Of the index, then of each block: gzipped JSON in base64. */
  data: string[];
}

/** Null where they are more than a page holds. */
export function embedSamples(
  cases: readonly Case[],
  { config }: Pick<ReportInput, 'config'>,
  most = MOST,
): Embedded | null {
  const split = intoBlocks(cases, most);
  if (!split) return null;
  const { starts, blocks } = split;
  const unique = (values: readonly string[]) => [...new Set(values)];
  const kinds = unique(cases.flatMap(({ episodes }) => Object.values(episodes).flatMap(kindsOf))).sort();
  const arms = armsOf(config.eval).map(({ name, label }) => ({ name, label }));
  const comparisons = comparisonsOf(config.eval);
  const decodings = [...config.eval.modes];
  const number = new Map(kinds.map((kind, index) => [kind, index]));
  const columns: Columns = {
    decoding: cases.map(({ decoding }) => decodings.indexOf(decoding)),
    id: cases.map(({ id }) => id),
    sample: cases.map(({ sample }) => sample),
    title: cases.map(({ fields }) => shorten(describeQuery(fields.text).title)),
    changes: comparisons.map((comparison) => {
      const counted = new Set(among(comparison, cases));
      const passed = PASSED[comparison.outcome];
      return cases.map((each) => {
        if (!counted.has(each)) return 0;
        const [before, after] = [comparison.before, comparison.after].map((arm) =>
          passed(each.episodes[arm]),
        );
        return before ? (after ? 1 : 2) : after ? 3 : 4;
      });
    }),
    arms: arms.map(({ name }) =>
      columnsOf(
        cases.map(({ episodes }) => episodes[name]),
        number,
      ),
    ),
  };
  const names = comparisons.map(({ name }) => name);
  const index = {
    task: config.task.name,
    arms,
    decodings,
    kinds,
    comparisons: names,
    blocks: starts,
    columns,
  };
  return { index, data: [pack(JSON.stringify(index)), ...blocks] };
}

const pack = (text: string) => gzipSync(text).toString('base64');

/** Packed. */
function intoBlocks(cases: readonly Case[], most: number): { starts: number[]; blocks: string[] } | null {
  const starts: number[] = [];
  const blocks: string[] = [];
  let texts: string[] = [];
  let size = 0;
  let all = 0;
  for (const [index, each] of cases.entries()) {
    if (size === 0) starts.push(index);
    // The fields as text: their numbers may be more than JavaScript's can hold.
    const embedded: EmbeddedCase = { ...each, fields: each.fields.text };
    const text = JSON.stringify(embedded);
    texts.push(text);
    size += text.length;
    all += text.length;
    if (all > most) return null;
    if (size < BLOCK && index < cases.length - 1) continue;
    blocks.push(pack(`[${texts.join(',')}]`));
    texts = [];
    size = 0;
  }
  return { starts, blocks };
}

function kindsOf({ first, rounds }: EpisodeResult): string[] {
  return [first, ...rounds.map(({ retry }) => retry)].flatMap((answer) => answer?.verdict.kind ?? []);
}

function columnsOf(
  episodes: readonly (EpisodeResult | undefined)[],
  kinds: ReadonlyMap<string, number>,
): ArmColumns {
  const kind = (answer: EpisodeResult['first'] | undefined) =>
    answer ? (kinds.get(answer.verdict.kind) as number) : -1;
  const parts = episodes.map((episode) => ({
    first: episode?.first ? [episode.first] : [],
    reflection: (episode?.rounds ?? []).flatMap(({ reflection }) => reflection ?? []),
    retry: (episode?.rounds ?? []).map(({ retry }) => retry),
  }));
  const tokens = (part: keyof ArmColumns['tokens']) =>
    parts.map((each) => each[part].reduce((sum, { tokens }) => sum + tokens, 0));
  const isCut = (completions: readonly { finish_reason: string }[]) =>
    completions.some(({ finish_reason }) => finish_reason === 'length');
  return {
    first: episodes.map((episode) => kind(episode?.first)),
    last: episodes.map((episode) => kind(lastOf(episode))),
    tokens: { first: tokens('first'), reflection: tokens('reflection'), retry: tokens('retry') },
    cut: parts.map(
      ({ first, reflection, retry }) => +isCut(first) + 2 * +isCut(reflection) + 4 * +isCut(retry),
    ),
  };
}

function shorten(text: string): string {
  return text.length <= TITLE ? text : `${text.slice(0, TITLE - 1)}…`;
}
