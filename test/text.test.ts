import { expect, test } from 'vitest';
import { alignColumns, clip } from '../src/text.ts';

test('a text is clipped only beyond the limit, and is then as long as the limit', () => {
  expect(clip('1234567890', 10)).toBe('1234567890');
  expect(clip('12345678901', 10)).toBe('1234567...');
});

test('columns are as wide as their widest cell, the last one as it is', () => {
  const rows = [['a', 'b'], ['long', 'wide', 'c'], ['x', 'y', 'z'], []];
  expect(alignColumns(rows, '| ')).toEqual(['| a     b', '| long  wide  c', '| x     y     z', '| ']);
  expect(alignColumns([])).toEqual([]);
});
