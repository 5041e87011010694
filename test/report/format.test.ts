import { expect, test } from 'vitest';
import { compact, duration, percent, points, pValue, share } from '../../src/report/format.ts';
import { proportion } from '../../src/report/statistics.ts';

test.each([
  [0, '0.0 s'],
  [59.94, '59.9 s'],
  [59.96, '1 min 0 s'],
  [60, '1 min 0 s'],
  [119.4, '1 min 59 s'],
  [119.7, '2 min 0 s'],
  [3599.4, '59 min 59 s'],
  [3599.7, '1 h 0 min'],
  [3600, '1 h 0 min'],
  [7169, '1 h 59 min'],
  [7171, '2 h 0 min'],
])('%d seconds are %s', (seconds, text) => {
  expect(duration(seconds)).toBe(text);
});

test('signs and digits', () => {
  expect([percent(0.12345), percent(-0.5)]).toEqual(['12.3', '−50.0']);
  expect([points(0.25), points(0), points(-0.25)]).toEqual(['+25.0', '+0.0', '−25.0']);
  expect([points(5.6e-17), points(-5.6e-17), points(-4e-4)]).toEqual(['+0.0', '+0.0', '−0.0']);
  expect([pValue(1), pValue(1e-4), pValue(9.9e-5)]).toEqual(['1.0000', '0.0001', '9.9e-5']);
  expect([pValue(1e-300), pValue(9e-301), pValue(0)]).toEqual(['1.0e-300', '<1e-300', '<1e-300']);
  expect([compact(0), compact(0.00012345), compact(123456)]).toEqual(['0', '0.000123', '123000']);
  expect([share(proportion(1, 4)), share(proportion(0, 0))]).toEqual(['25.0 % (1/4)', 'none']);
});
