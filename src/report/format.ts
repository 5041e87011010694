/** Numbers as the renderers write them. */
import type { PaperNumber } from './paper.ts';
import type { Interval, PairedComparison, Share } from './statistics.ts';

export function percent(rate: number): string {
  return (100 * rate).toFixed(1).replace('-', '−');
}

/** With its sign: a difference of two shares, in points. Two equal means may differ by a rounding error: it is no loss. */
export function points(difference: number): string {
  const told = Math.abs(difference) < 1e-12 ? 0 : difference;
  return `${told < 0 ? '' : '+'}${percent(told)}`;
}

export function range([low, high]: Interval): string {
  return `${percent(low)} to ${percent(high)}`;
}

export function share({ k, n, rate }: Share): string {
  return n === 0 ? 'none' : `${percent(rate)} % (${k}/${n})`;
}

/** Around 1e-300 numbers end: what is smaller may be computed as 0, which no p-value is. */
export function pValue(p: number): string {
  if (p < 1e-300) return '<1e-300';
  return p < 1e-4 ? p.toExponential(1) : p.toFixed(4);
}

export function paperNumber({ value, source }: PaperNumber): string {
  return source === 'recalled' ? `${value.toFixed(1)} (recalled)` : value.toFixed(1);
}

export function duration(seconds: number): string {
  const tenths = seconds.toFixed(1);
  if (Number(tenths) < 60) return `${tenths} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A number of any size in at most four digits: learning rates, gradients, log-probability differences. */
export function compact(value: number): string {
  return Number(value.toPrecision(3)).toString();
}

/** Cells of a table: how many, and the shares before and after. */
export function rateCells({ n, before, after }: PairedComparison): string[] {
  return [`${n}`, `${percent(before.rate)} %`, `${percent(after.rate)} %`];
}

/** Cells of a table: the difference, its interval, and what passed on one side alone. */
export function changeCells({ difference, interval, only_before, only_after }: PairedComparison): string[] {
  return [points(difference), range(interval), `${only_before}`, `${only_after}`];
}

/** As it stands within a sentence. */
export function lowerFirst(text: string): string {
  return `${text[0]?.toLowerCase()}${text.slice(1)}`;
}

export function upperFirst(text: string): string {
  return `${text[0]?.toUpperCase()}${text.slice(1)}`;
}
