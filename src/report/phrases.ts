/**
 * What reflections have in common: the phrases of two to five words that many of them have, before and after training. Phrases
 * are found as frequent item sets are (Agrawal and Srikant 1994): a long one is counted only where its parts are frequent.
 */
import type { BeforeAfter, Phrase, PhraseReport } from './report.ts';

const LONGEST = 5;
/** Share of the reflections of one side that must have a phrase. */
const FREQUENT = 0.02;
/** How many of the most frequent phrases are told, and how many of those that changed the most. */
const TOLD = 8;

/** A reflection, and whether the retry that followed it passed. */
export interface Reflected {
  text: string;
  passed: boolean;
}

export function findPhrases(sides: BeforeAfter<readonly Reflected[]>): PhraseReport {
  const of = { before: sides.before.length, after: sides.after.length };
  const found = countPhrases(sides);
  const share = ({ before, after }: Phrase) =>
    [before.n / (of.before || 1), after.n / (of.after || 1)] as const;
  const change = (phrase: Phrase) => share(phrase)[1] - share(phrase)[0];
  const first = (size: (phrase: Phrase) => number) =>
    found.toSorted((a, b) => size(b) - size(a) || compareText(a.text, b.text)).slice(0, TOLD);
  const told = new Set([
    ...first((phrase) => Math.abs(change(phrase))),
    ...first((phrase) => Math.max(...share(phrase))),
  ]);
  return { of, phrases: [...told].sort((a, b) => change(b) - change(a) || compareText(a.text, b.text)) };
}

const compareText = (a: string, b: string) => (a < b ? -1 : 1);

/** Of one reflection: at each place, the phrase of the present length that begins there; null for one that is rare. */
interface Reading {
  side: 'before' | 'after';
  passed: boolean;
  words: readonly string[];
  phrases: (Counted | null)[];
}

interface Counted extends Phrase {
  /** The reflection that it was last counted in. */
  seen: Reading | null;
  /** By the word that follows. */
  longer: Map<string, Counted>;
}

/** All that are frequent, but none of which a longer one says nearly as often. */
function countPhrases(sides: BeforeAfter<readonly Reflected[]>): Phrase[] {
  const enough = (side: 'before' | 'after') => Math.max(2, Math.ceil(FREQUENT * sides[side].length));
  const least = { before: enough('before'), after: enough('after') };
  let readings = (['before', 'after'] as const).flatMap((side) =>
    sides[side].map(({ text, passed }) => read(side, passed, text)),
  );
  const kept: Phrase[] = [];
  const single = new Map<string, Counted>();
  let shorter: readonly Counted[] = [];
  for (let length = 1; length <= LONGEST + 1; length++) {
    const counted = new Set<Counted>();
    for (const reading of readings) countIn(reading, length, single, counted);
    const frequent = [...counted].filter(
      ({ before, after }) => before.n >= least.before || after.n >= least.after,
    );
    const isFrequent = new Set(frequent);
    for (const reading of readings)
      reading.phrases = reading.phrases.map((phrase) => (phrase && isFrequent.has(phrase) ? phrase : null));
    readings = readings.filter(({ phrases }) => phrases.some((phrase) => phrase !== null));
    if (length > 2) kept.push(...withoutParts(shorter, frequent));
    shorter = frequent;
  }
  return kept;
}

/** Edges of words are letters and digits; what has neither is no word. */
function read(side: Reading['side'], passed: boolean, text: string): Reading {
  const words = text
    .split(/\s+/)
    .map((word) => word.replace(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu, ''))
    .filter((word) => word !== '');
  return { side, passed, words, phrases: [] };
}

/** Once a reflection. */
function countIn(reading: Reading, length: number, single: Map<string, Counted>, counted: Set<Counted>) {
  const { words, phrases, side } = reading;
  const found: Reading['phrases'] = [];
  for (let start = 0; start + length <= words.length; start++) {
    const word = words[start + length - 1] as string;
    const begin = length === 1 ? null : phrases[start];
    if (length > 1 && (!begin || !phrases[start + 1])) {
      found.push(null);
      continue;
    }
    const known = begin?.longer ?? single;
    const phrase = known.get(word) ?? newPhrase(begin ? `${begin.text} ${word}` : word);
    known.set(word, phrase);
    counted.add(phrase);
    if (phrase.seen !== reading) {
      phrase.seen = reading;
      phrase[side].n++;
      if (reading.passed) phrase[side].passed++;
    }
    found.push(phrase);
  }
  reading.phrases = found;
}

function newPhrase(text: string): Counted {
  return {
    text,
    before: { n: 0, passed: 0 },
    after: { n: 0, passed: 0 },
    seen: null,
    longer: new Map(),
  };
}

/** The phrases that no phrase of one word more has nine tenths of the reflections of, on both sides. */
function withoutParts(shorter: readonly Counted[], longer: readonly Counted[]): Phrase[] {
  const hidden = new Set<string>();
  const byText = new Map(shorter.map((phrase) => [phrase.text, phrase]));
  for (const { text, before, after } of longer) {
    for (const part of [text.slice(text.indexOf(' ') + 1), text.slice(0, text.lastIndexOf(' '))]) {
      const phrase = byText.get(part);
      if (phrase && 10 * before.n >= 9 * phrase.before.n && 10 * after.n >= 9 * phrase.after.n)
        hidden.add(part);
    }
  }
  return shorter
    .filter(({ text }) => !hidden.has(text))
    .map(({ text, before, after }) => ({ text, before, after }));
}
