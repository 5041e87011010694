import type { CustomSeriesOption } from 'echarts/charts';
import type { BeforeAfter, Histogram } from '../report.ts';
import type { Proportion } from '../statistics.ts';
import { AXIS, COLOURS, draw, TEXT } from './draw.ts';

const SIDES = ['before', 'after'] as const;
const LEGEND = { top: 0, itemGap: 24, textStyle: TEXT };
/** Of the widest bar, in pixels. */
const WIDEST = 40;

const series = (side: keyof BeforeAfter<unknown>, data: readonly number[]) => ({
  name: side === 'before' ? 'before training' : 'after training',
  type: 'bar',
  barMaxWidth: WIDEST,
  itemStyle: { color: COLOURS[side], borderRadius: [3, 3, 0, 0] },
  data,
});

/** Pairs of bars with their 95 % intervals. */
export function drawShares(
  id: string,
  groups: readonly ({ label: string } & BeforeAfter<Proportion>)[],
): string {
  return draw(
    id,
    {
      legend: LEGEND,
      grid: { left: 40, right: 8, top: 44, bottom: 62 },
      xAxis: {
        type: 'category',
        data: groups.map(({ label }) => label),
        axisLabel: { ...TEXT, interval: 0, width: 340 / groups.length, overflow: 'break' },
      },
      yAxis: { type: 'value', name: '% passed', min: 0, ...AXIS },
      series: [
        ...SIDES.map((side) =>
          series(
            side,
            groups.map((group) => 100 * group[side].rate),
          ),
        ),
        ...SIDES.map((side) => drawIntervals(groups, side)),
      ],
    },
    300,
  );
}

function drawIntervals(
  groups: readonly BeforeAfter<Proportion>[],
  side: 'before' | 'after',
): CustomSeriesOption {
  return {
    type: 'custom',
    encode: { x: 0, y: [1, 2] },
    silent: true,
    z: 10,
    data: groups.map((group, index) => [index, ...group[side].interval.map((end) => 100 * end)]),
    renderItem: (_params, api) => {
      const layout = api.barLayout({ barMaxWidth: WIDEST, count: 2 })?.[side === 'before' ? 0 : 1];
      const [x = 0, low = 0] = api.coord([api.value(0), api.value(1)]);
      const [, high = 0] = api.coord([api.value(0), api.value(2)]);
      const centre = x + (layout?.offsetCenter ?? 0);
      const line = (x1: number, y1: number, x2: number, y2: number) =>
        ({
          type: 'line',
          shape: { x1, y1, x2, y2 },
          style: { stroke: 'currentColor', lineWidth: 1.5 },
        }) as const;
      return {
        type: 'group',
        children: [
          line(centre, low, centre, high),
          line(centre - 5, low, centre + 5, low),
          line(centre - 5, high, centre + 5, high),
        ],
      };
    },
  };
}

/** The share of each bin, in percent. */
export function drawHistogram(id: string, { width, before, after }: Histogram): string {
  const shares = ({ n, bins }: Histogram['before']) => bins.map((count) => (100 * count) / (n || 1));
  return draw(
    id,
    {
      legend: LEGEND,
      grid: { left: 40, right: 8, top: 44, bottom: 40 },
      xAxis: {
        type: 'category',
        name: 'tokens, from',
        nameLocation: 'middle',
        nameGap: 26,
        nameTextStyle: TEXT,
        data: before.bins.map((_, bin) => `${bin * width}`),
        axisLabel: { ...TEXT, hideOverlap: true },
      },
      yAxis: { type: 'value', name: '%', min: 0, ...AXIS },
      series: [series('before', shares(before)), series('after', shares(after))],
    },
    230,
  );
}
