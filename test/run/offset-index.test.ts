import { expect, test } from 'vitest';
import { OffsetIndex } from '../../src/run/offset-index.ts';

test.each([0, 65_535, 65_536, 131_072, 1_000_000])('an index up to %i keeps what it holds', (index) => {
  const offsets = new OffsetIndex();
  expect(offsets.has(index)).toBe(false);
  offsets.set(7, 70);
  offsets.set(index, 2 ** 40);
  expect(offsets.get(7)).toBe(70);
  expect(offsets.get(index)).toBe(2 ** 40);
  for (const other of [index + 1, index + 2, 6, 10_000_000]) {
    expect(offsets.has(other)).toBe(false);
    expect(offsets.get(other)).toBeUndefined();
  }
});

test('the first byte of a journal is a place too', () => {
  const offsets = new OffsetIndex();
  offsets.set(3, 0);
  expect(offsets.has(3)).toBe(true);
  expect(offsets.get(3)).toBe(0);
});
