/** The data of the page: the index at once, a block of samples when it is asked for. */
import type { EmbeddedCase, EmbeddedIndex } from '../samples/embedded.ts';

/** Blocks that are kept parsed. */
const KEPT = 12;

export interface Store {
  index: EmbeddedIndex;
  /** By the number of the case. */
  readCase(number: number): Promise<EmbeddedCase>;
  readBlock(block: number): Promise<EmbeddedCase[]>;
}

/** Of the texts that the page holds: the index, then the blocks. */
export async function openStore(texts: readonly string[]): Promise<Store> {
  const [first = '', ...blocks] = texts;
  const index = (await unpack(first)) as EmbeddedIndex;
  const kept = new Map<number, Promise<EmbeddedCase[]>>();
  const readBlock = (block: number) => unpack(blocks[block] ?? '') as Promise<EmbeddedCase[]>;
  return {
    index,
    readBlock,
    async readCase(number) {
      const block = index.blocks.findLastIndex((start) => start <= number);
      const cases = kept.get(block) ?? readBlock(block);
      kept.delete(block); // and to the end: the one that was used longest ago goes first
      kept.set(block, cases);
      if (kept.size > KEPT) kept.delete(kept.keys().next().value as number);
      return (await cases)[number - (index.blocks[block] ?? 0)] as EmbeddedCase;
    },
  };
}

/** Base64 of gzipped JSON. */
async function unpack(text: string): Promise<unknown> {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Response(stream).json();
}
